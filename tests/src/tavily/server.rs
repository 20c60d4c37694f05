//! The stand-in's connections: a request in, an act out.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    FAULT_KEY, REMEMBERED, REQUESTS, Seen, State, account, answers,
    contract::Endpoint,
    faults::{self, Act},
    lock,
    research::{self, End, Telling},
};

pub(super) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, streams: Arc<AtomicUsize>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
            Some(_) = connections.join_next() => continue,
        };
        // Without it an answer could wait for the acknowledgement of its head.
        let _ = stream.set_nodelay(true);
        let (state, streams) = (Arc::clone(&state), Arc::clone(&streams));
        connections.spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&state), Arc::clone(&streams)));
            // A connection that breaks is the client's affair, or a fault played on purpose.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An answer's body: whole, cut, or in parts.
struct Answer {
    parts: VecDeque<Bytes>,
    end: End,
    /// Of an answer whose length is announced.
    length: Option<u64>,
    flushed: bool,
    _open: Option<OpenStream>,
}

/// Counts as long as it lives.
struct OpenStream(Arc<AtomicUsize>);

impl OpenStream {
    fn new(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.parts.pop_front(), self.end) {
            (Some(part), _) => Poll::Ready(Some(Ok(Frame::data(part)))),
            (None, End::Whole) => Poll::Ready(None),
            // What was given before has to be on its way.
            (None, End::Broken) if !std::mem::replace(&mut self.flushed, true) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (None, End::Broken) => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
            // Whoever reads has to go by itself; hyper notices.
            (None, End::Never) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.end == End::Whole
    }
}

/// What a request is answered without a fault.
enum Served {
    Json(u16, Value),
    /// A research as a stream, about this.
    Stream(String),
}

type Refusal = (u16, Value);

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    streams: Arc<AtomicUsize>,
) -> Result<Response<Answer>, io::Error> {
    if request.uri().path() == REQUESTS {
        let seen: Vec<Seen> = std::mem::take(&mut lock(&state).seen).into();
        return Ok(answer(200, Vec::new(), seen.iter().map(Seen::shown).collect::<Value>().to_string()));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        at: Instant::now(),
    };
    let (act, latency, served) = {
        let mut state = lock(&state);
        let endpoint = Endpoint::at(&seen.method, &seen.path);
        let act = state.act(&seen).on(endpoint.map(Endpoint::id));
        let fails = matches!(act, Act::Answer { .. } | Act::Hang | Act::Close);
        // What is never done costs nothing.
        let served = if fails { Served::Json(500, Value::Null) } else { state.serve(endpoint, &seen, &act) };
        if state.seen.len() == REMEMBERED {
            state.seen.pop_front();
        }
        state.seen.push_back(seen);
        (act, state.options.latency, served)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (status, mut body) = match served {
        Served::Json(status, body) => (status, body),
        Served::Stream(input) => {
            let telling = if let Act::Stream(telling) = act { telling } else { Telling::Whole };
            let (parts, end) = research::stream(&input, telling);
            return Ok(stream(parts, end, &streams));
        }
    };
    match act {
        Act::Serve | Act::Stream(_) | Act::On(..) => Ok(answer(status, Vec::new(), body.to_string())),
        Act::Status(instead) => {
            Ok(answer(if (200..300).contains(&status) { instead } else { status }, Vec::new(), body.to_string()))
        }
        Act::Alter(alter) => {
            if (200..300).contains(&status) {
                alter(&mut body);
            }
            Ok(answer(status, Vec::new(), body.to_string()))
        }
        Act::Answer { status, headers, body } => Ok(answer(status, headers, body)),
        Act::Hang => match std::future::pending::<Infallible>().await {},
        Act::Cut => {
            let mut response = answer(status, Vec::new(), body.to_string());
            let half = response.body_mut();
            half.end = End::Broken;
            half.length = half.length.map(|length| 2 * length);
            Ok(response)
        }
        Act::Close => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn answer(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response<Answer> {
    let length = Some(body.len() as u64);
    let mut response =
        Response::new(Answer { parts: [body.into()].into(), end: End::Whole, length, flushed: false, _open: None });
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses have three digits");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("headers of faults are valid"));
    }
    response
}

fn stream(parts: Vec<Bytes>, end: End, streams: &Arc<AtomicUsize>) -> Response<Answer> {
    let open = Some(OpenStream::new(streams));
    let mut response = Response::new(Answer { parts: parts.into(), end, length: None, flushed: false, _open: open });
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    response
}

impl State {
    fn act(&mut self, seen: &Seen) -> Act {
        let key = seen.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let fault = key.and_then(|key| key.strip_prefix("Bearer ")?.strip_prefix(FAULT_KEY));
        // Behind a dot may stand whose key it is.
        let script = |key: &str| faults::named(key.split('.').next()?);
        match fault.and_then(|key| Some((key, script(key)?))) {
            Some((key, script)) => self.scripts.entry(key.to_owned()).or_insert_with(|| script.into()).act(),
            None => self.script.act(),
        }
    }

    fn serve(&mut self, endpoint: Option<Endpoint>, seen: &Seen, act: &Act) -> Served {
        self.try_serve(endpoint, seen, act).unwrap_or_else(|(status, body)| Served::Json(status, body))
    }

    fn try_serve(&mut self, endpoint: Option<Endpoint>, seen: &Seen, act: &Act) -> Result<Served, Refusal> {
        let said = |text: &str| json!({ "detail": { "error": text } });
        let endpoint = endpoint.ok_or_else(|| (404, said("Not Found")))?;
        let key = account::key(endpoint, &seen.headers).ok_or_else(|| (401, endpoint.error(401)))?;
        let (rates, limit) = (self.options.enforce_rates, self.options.plan_limit);
        let account = self.accounts.entry(key.clone()).or_default();
        account.limit = limit;
        if rates && account.is_too_fast(endpoint, &key) {
            return Err((429, endpoint.error(429)));
        }
        let body: Map<String, Value> = match endpoint.fields().is_empty() {
            true => Map::new(),
            false => serde_json::from_slice(&seen.body).map_err(|_| (400, said("The body is no JSON object.")))?,
        };
        if let Some(refusal) = endpoint.refusal(&body) {
            return Err(refusal);
        }
        account.requests += 1;
        self.requests += 1;
        let request = self.requests;
        if limit.is_some_and(|limit| account.total() >= limit) && !endpoint.error(432).is_null() {
            return Err((432, endpoint.error(432)));
        }
        let json = |answer: Value| Served::Json(200, answer);
        match endpoint.id() {
            "research_create" => return self.research(endpoint, &key, &body, act),
            "research_get" => return self.look(endpoint, &key, seen),
            "usage" => return Ok(json(answers::office::usage(account))),
            "feedback" => return Ok(json(answers::office::feedback(request))),
            "logs" => return answers::office::logs(endpoint, &key, account).map(json),
            "org_usage" => return answers::office::organisation(endpoint, &key, &body, account).map(json),
            _ => {}
        }
        let mut answer = answers::web(endpoint, &body)?;
        answer["request_id"] = format!("stand-in-{}", account.requests).into();
        let credits = account.bill(endpoint, &body, &answer);
        if body.get("include_usage").is_some_and(|wanted| wanted == true) {
            answer["usage"] = json!({ "credits": credits });
        }
        Ok(json(answer))
    }

    fn research(
        &mut self,
        endpoint: Endpoint,
        key: &str,
        body: &Map<String, Value>,
        act: &Act,
    ) -> Result<Served, Refusal> {
        let model = body.get("model").and_then(Value::as_str).unwrap_or("auto");
        let credits = endpoint.span(model).0;
        let wants_stream = body.get("stream").is_some_and(|wanted| wanted == true);
        if wants_stream {
            self.accounts.entry(key.to_owned()).or_default().charge("research", credits);
            return Ok(Served::Stream(body["input"].as_str().unwrap_or_default().to_owned()));
        }
        if matches!(act, Act::Stream(_)) {
            return Err((400, endpoint.other_error(400)));
        }
        Ok(Served::Json(self.options.created, self.tasks.create(body, credits)))
    }

    fn look(&mut self, endpoint: Endpoint, key: &str, seen: &Seen) -> Result<Served, Refusal> {
        let id = seen.path.rsplit('/').next().unwrap_or_default();
        let with_usage = seen.query.split('&').any(|pair| pair == "include_usage=true");
        let found = self.tasks.look(id, with_usage, self.options.looks);
        let (status, answer, charge) = found.ok_or_else(|| (404, endpoint.error(404)))?;
        self.accounts.entry(key.to_owned()).or_default().charge("research", charge);
        Ok(Served::Json(status, answer))
    }
}
