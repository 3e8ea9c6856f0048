//! The binary as its users meet it: started, called over HTTP, killed, started again.
mod compat;
mod demo;
mod kill;
mod races;
mod reconcile;
mod serve;
mod torture;
mod world;
