//! What a round trip costs: `cargo test --release -p toolgate --lib speed -- --ignored --nocapture`.

use std::{io::Write as _, time::Instant};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn round_trips() {
    for blocking in [false, true] {
        let mut bench = Bench::new();
        bench.blocking = blocking;
        let link = bench.start().await;
        let link = tokio::spawn(async move {
            let mut taken = Vec::new();
            for round in 0..30_000 {
                let start = Instant::now();
                call(&*link, "echo", "hello").await;
                if round > 1000 {
                    taken.push(start.elapsed());
                }
            }
            taken.sort();
            let at = |part: f64| taken[(taken.len() as f64 * part) as usize];
            let _ = writeln!(
                std::io::stderr(),
                "blocking {blocking}: median {:?}, 90 % {:?}, 99 % {:?}",
                at(0.5),
                at(0.9),
                at(0.99)
            );
            link
        })
        .await
        .expect("no panic");
        link.close().await;
    }
}
