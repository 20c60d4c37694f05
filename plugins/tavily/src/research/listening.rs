//! A research as a stream: heard in a task of its own, told to its caller as long as there is one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Response;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Content, Outcome, Owner, Record, State, Steps, handles::Running, sse::Decoder, story::Story};
use crate::{
    credits::Credits,
    shared::Shared,
    upstream::{Code, Failure},
};

/// The most that is heard of one stream.
const LONGEST: usize = 16 * 1024 * 1024;
/// How long its caller may hear nothing.
const PULSE: Duration = Duration::from_secs(5);
/// How long the rest of the last event may take.
const REST: Duration = Duration::from_millis(300);
/// Steps that may wait for the caller's ear.
const WAITING: usize = 256;

/// A caller's ear at a stream. Dropped, it stops the stream; left, it lets it run.
pub(super) struct Listener {
    steps: mpsc::Receiver<String>,
    end: oneshot::Receiver<Result<State, Failure>>,
    stop: DropGuard,
}

/// Follow a stream to its end, and keep what it comes to.
pub(super) fn spawn(
    shared: Arc<Shared>,
    owner: Owner,
    record: Record,
    response: Response,
    running: Option<Running>,
) -> Listener {
    let (tell, steps) = mpsc::channel(WAITING);
    let (send_end, end) = oneshot::channel();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let ended = tokio::select! {
            biased;
            () = stopped.cancelled() => None,
            ended = follow(&shared, &record, response, &tell) => Some(ended),
        };
        let outcome = match &ended {
            None => Outcome::Stopped,
            Some(Ok((content, credits))) => {
                record.settle(&shared, *credits);
                Outcome::Report(content.clone())
            }
            Some(Err(failure)) => Outcome::Failed { said: failure.text().map(str::to_owned) },
        };
        let credits = match &ended {
            Some(Ok((_, credits))) => *credits,
            _ => None,
        };
        let mut kept = record;
        kept.outcome = Some(outcome);
        kept.cost = credits.map(Credits::as_f64);
        // Told in the log; the caller, if there is one, hears it all the same.
        let _ = shared.handles.save(&owner, &kept).await;
        drop(running);
        let state = ended
            .map(|ended| ended.map(|(content, credits)| State::Completed { content, credits, response_time: None }));
        // Nobody may listen any more.
        if let Some(state) = state {
            let _ = send_end.send(state);
        }
    });
    Listener { steps, end, stop: stop.drop_guard() }
}

async fn follow(
    shared: &Shared,
    record: &Record,
    mut response: Response,
    tell: &mpsc::Sender<String>,
) -> Result<(Content, Option<Credits>), Failure> {
    let times = shared.times.research;
    let last = Instant::now() + times.longest.0;
    let (mut decoder, mut story, mut heard) = (Decoder::default(), Story::default(), 0);
    let mut over = None;
    loop {
        let silence = over.unwrap_or(Instant::now() + times.silence.0).min(last);
        let next = match tokio::time::timeout_at(silence.into(), shared.upstream.next(&mut response)).await {
            Ok(next) => next,
            Err(_) if over.is_some() => return end(shared, record, story),
            Err(_) => return Err(Failure::new(Code::Timeout).maybe_billed()),
        };
        let (events, lost) = match next {
            Ok(Some(bytes)) => {
                heard += bytes.len();
                (decoder.feed(&bytes), None)
            }
            Ok(None) => (std::mem::take(&mut decoder).end().into_iter().collect(), Some(None)),
            // A connection that breaks behind the last event has said all that it had to.
            Err(failure) => (std::mem::take(&mut decoder).end().into_iter().collect(), Some(Some(failure))),
        };
        for step in events.iter().flat_map(|event| story.hear(event)) {
            // A caller that cannot keep up misses steps; one that is gone misses all.
            let _ = tell.try_send(shared.upstream.without_key(&step).into_owned());
        }
        if story.is_over() {
            if lost.is_some() || story.has_failed() || decoder.is_between_events() {
                return end(shared, record, story);
            }
            // The event that says so may not be over: what belongs to it comes now, or not at all.
            over.get_or_insert(Instant::now() + REST);
        }
        match lost {
            None if heard > LONGEST || decoder.pending() + story.size() > LONGEST => {
                return Err(Failure::invalid_response("a stream of more than 16 MiB"));
            }
            None => {}
            Some(None) => return end(shared, record, story),
            Some(Some(failure)) => return Err(failure),
        }
    }
}

/// What a stream came to, without our key, and at a price that can be believed.
fn end(shared: &Shared, record: &Record, story: Story) -> Result<(Content, Option<Credits>), Failure> {
    let without_key = |said: &str| shared.upstream.without_key(said).into_owned();
    let (mut content, credits) = story.end(record.wants_object).map_err(|failure| failure.edited(without_key))?;
    shared.upstream.redact(&mut content.content);
    content.sources.iter_mut().for_each(|source| shared.upstream.redact(source));
    Ok((content, shared.believed(credits, Credits::whole(record.most))))
}

impl Listener {
    /// Listen until it ends, or the time is over; then it runs on without us.
    pub(super) async fn wait(mut self, until: Instant, steps: &Steps) -> Result<State, Failure> {
        loop {
            let pulse = (Instant::now() + PULSE).min(until);
            tokio::select! {
                biased;
                Some(step) = self.steps.recv() => steps.step(&step),
                end = &mut self.end => {
                    return end.unwrap_or_else(|_| Err(Failure::new(Code::Timeout).maybe_billed()));
                }
                () = tokio::time::sleep_until(pulse.into()) => {
                    if Instant::now() >= until {
                        self.leave();
                        return Ok(State::InProgress);
                    }
                    steps.pulse("researching");
                }
            }
        }
    }

    /// Let it run without a listener.
    pub(super) fn leave(self) {
        self.stop.disarm();
    }
}
