//! Black-box claims about plugin libraries: the real server, real libraries, each on a real file.
//!
//! Linux is the platform on which all of it holds; what these tests measure is told there under `/proc`.
#![cfg(target_os = "linux")]

mod chaos;
mod crowd;
mod files;
mod house;
mod limits;
mod orphans;
mod reload;
mod sandbox;
mod schemas;
mod signals;
mod starts;
