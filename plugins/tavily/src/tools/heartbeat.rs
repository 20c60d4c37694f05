//! Signs of life of a call that takes long: clients give up on a silent one.

use std::time::{Duration, Instant};

use toolgate_plugin::CallContext;

/// How long a call may be silent.
pub(super) const PULSE: Duration = Duration::from_secs(5);

/// Do the work, and say now and then that it is under way.
pub(super) async fn during<T>(cx: &CallContext, what: &str, work: impl Future<Output = T>) -> T {
    if !cx.progress.wanted() {
        return work.await;
    }
    let (begun, mut beats) = (Instant::now(), 0.0);
    cx.progress.report(beats, None, what.to_owned());
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(PULSE, &mut work).await {
            return done;
        }
        beats += 1.0;
        cx.progress.report(beats, None, format!("{what}, {} s", begun.elapsed().as_secs()));
    }
}
