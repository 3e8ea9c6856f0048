//! Writes every page's samples in both languages to a folder, to be looked at in a browser:
//! `cargo run -p kessai-web --example gallery -- /tmp/gallery && python3 -m http.server -d /tmp/gallery`.
use kessai_web::{Locale, Page, asset_url, assets, render};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn write<P: Page>(folder: &Path, page: &str, index: &mut String) -> io::Result<()> {
    for locale in Locale::ALL {
        for (name, sample) in P::samples() {
            let file = format!("{page}--{name}.{}.html", locale.tag());
            fs::write(folder.join(&file), render(&sample, locale))?;
            let _ = writeln!(
                index,
                "<li><a href=\"{file}\">{page}: {name} ({})</a></li>",
                locale.tag()
            );
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).unwrap_or_else(|| "target/gallery".into());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (url, bytes, _) in assets() {
        let path = folder.join(url.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("an asset lies in a folder"))?;
        fs::write(path, bytes)?;
    }
    let mut index = String::new();
    macro_rules! all {
        ($($page:ty, $name:literal);+ $(;)?) => { $( write::<$page>(folder, $name, &mut index)?; )+ };
    }
    all! {
        kessai_web::checkout::Checkout, "checkout";
        kessai_web::instructions::Instructions, "instructions";
        kessai_web::shopper::ThreeDSecure, "3ds";
        kessai_web::shopper::FrameReturn, "frame-return";
        kessai_web::shopper::Processing, "processing";
        kessai_web::shopper::Completed, "completed";
        kessai_web::shopper::Expired, "expired";
        kessai_web::shopper::Cancelled, "cancelled";
        kessai_web::shopper::NotFound, "not-found";
        kessai_web::shopper::ServerError, "server-error";
        kessai_web::office::Login, "login";
        kessai_web::office::Today, "today";
        kessai_web::office::PaymentList, "payments";
        kessai_web::office::PaymentDetail, "payment";
        kessai_web::office::ConfirmAct, "confirm";
        kessai_web::office::Deliveries, "deliveries";
        kessai_web::office::Discrepancies, "discrepancies";
        kessai_web::demo::TeaShop, "tea-shop";
        kessai_web::demo::TeaOrders, "tea-orders";
        kessai_web::demo::TeaOrder, "tea-order";
        kessai_web::api_docs::ApiDocs, "docs";
    }
    let style = asset_url("kessai.css");
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Kessai pages</title>\
         <link rel=\"stylesheet\" href=\"{style}\"><h1>Kessai pages</h1><ul>{index}</ul></html>"
    );
    fs::write(folder.join("index.html"), html)
}
