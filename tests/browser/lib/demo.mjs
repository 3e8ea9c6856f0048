// The demo as a stranger starts it: one process, free ports, a folder of its own that is gone afterwards.
import { spawn, execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

function binary() {
  const places = [
    process.env.KESSAI_BIN,
    process.env.CARGO_TARGET_DIR && join(process.env.CARGO_TARGET_DIR, "debug/kessai"),
    join(ROOT, "target/debug/kessai"),
  ];
  const found = places.find((path) => path && existsSync(path));
  if (!found) throw new Error("build the demo first (cargo build), or name the binary in KESSAI_BIN");
  return found;
}

/** Asks until `ready` gives something true; the answer of a stranger's patience, not of a clock. */
export async function until(what, ready, { within = 20_000, every = 50 } = {}) {
  const last = Date.now() + within;
  for (;;) {
    const found = await ready();
    if (found) return found;
    if (Date.now() > last) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, every));
  }
}

export class Demo {
  static async start(...extra) {
    const data = await mkdtemp(join(tmpdir(), "kessai-browser-"));
    const child = spawn(binary(), ["demo", "--json", "--port", "0", "--data", data, ...extra], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const demo = new Demo(data, child);
    child.stderr.setEncoding("utf8").on("data", (text) => { demo.log += text; });
    const lines = createInterface({ input: child.stdout });
    demo.ready = await new Promise((done, failed) => {
      lines.once("line", (line) => done(JSON.parse(line)));
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`the demo ended with ${code}: ${demo.log}`)));
    });
    demo.hub = demo.ready.hub;
    demo.shop = demo.ready.shop;
    demo.sandbox = demo.ready.sandboxes.komoju.url;
    return demo;
  }

  constructor(data, child) {
    this.data = data;
    this.child = child;
    this.log = "";
    this.ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  }

  /** Moves the clock of hub, shop and sandbox, with the command a person would use. */
  async advance(by) {
    await run(binary(), ["clock", "advance", by, "--data", this.data]);
  }

  async json(url, options) {
    const reply = await fetch(url, options);
    return reply.json();
  }

  /** The hub's API with the shop's key. */
  api(path, body) {
    const authorization = "Basic " + Buffer.from(this.ready.secret_key + ":").toString("base64");
    const headers = { authorization, "content-type": "application/json" };
    return this.json(`${this.hub}/api/v1${path}`, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  }

  /** The tea shop's own note of an order. */
  async order(number) {
    return (await this.json(`${this.shop}/orders.json`)).find((order) => order.number === number);
  }

  /** What the provider's books say about an order: one entry for each payment of ours, which it knows as `{payment}_{attempt}`. */
  async books(number) {
    const ours = (await this.api("/payments?per_page=100")).data.filter((payment) => payment.external_order_num === number);
    const { data } = await this.json(`${this.sandbox}/sandbox/books?limit=5000`);
    return data.filter((entry) => ours.some((payment) => entry.number?.startsWith(payment.id + "_")));
  }

  /** Every place something could have been written to: [name, bytes]. */
  written() {
    const files = readdirSync(this.data, { recursive: true }).map((name) => join(this.data, name));
    const contents = files.filter((path) => statSync(path).isFile()).map((path) => [path, readFileSync(path)]);
    return [...contents, ["standard error", Buffer.from(this.log)]];
  }

  /** Ends it as an operator does, and takes the folder away. `look` sees what it left behind. */
  async stop(look = () => {}) {
    this.child.kill("SIGTERM");
    const { code, signal } = await this.ended;
    try {
      look();
      if (code !== 0) throw new Error(`the demo ended with ${code ?? signal}: ${this.log}`);
    } finally {
      await rm(this.data, { recursive: true, force: true });
    }
  }
}
