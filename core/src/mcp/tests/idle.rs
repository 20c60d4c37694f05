//! Claims about idle sessions: which are, when they end, and what is left of them.

use futures_util::poll;

use super::*;

const SHORT: &str = r#"session_idle = "200ms""#;

impl Bench {
    /// How many sessions rmcp has, and how many of them have an owner.
    async fn sessions(&self) -> (usize, usize) {
        self.endpoint.sessions.counts().await
    }

    /// Wait until so many are left.
    async fn left(&self, sessions: usize) {
        let wait = async {
            while self.sessions().await != (sessions, sessions) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(came.is_ok(), "{:?} sessions instead of {sessions}", self.sessions().await);
    }

    async fn ping(&self, principal: &Arc<Principal>, session: &str) -> StatusCode {
        let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
        self.send(principal, within(Method::POST, session), &ping).await.status()
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

async fn fewer_tasks(most: usize) {
    let wait = async {
        while tasks() > most {
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(came.is_ok(), "{} tasks instead of {most}", tasks());
}

#[tokio::test]
async fn nothing_is_left_of_sessions_that_their_clients_forget() {
    let bench = Bench::open(READ, "challenge", &format!("{SHORT}\nmax_sessions_per_principal = 1000")).await;
    let reader = principal("read");
    settle().await;
    let before = tasks();
    let mut last = String::new();
    for _ in 0..200 {
        last = bench.session(&reader).await;
    }
    bench.left(0).await;
    fewer_tasks(before).await;
    assert_eq!(bench.ping(&reader, &last).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_leaves_before_it_knows_its_session_leaves_nothing_either() {
    let bench = Bench::open(READ, "challenge", &format!("{SHORT}\nmax_sessions_per_principal = 1000")).await;
    let reader = principal("read");
    settle().await;
    let before = tasks();
    let message = initialize();
    let mut most = 0;
    for patience in 0..100 {
        {
            let mut opening = std::pin::pin!(bench.send(&reader, http::Request::post("/e"), &message));
            for _ in 0..patience % 20 {
                if poll!(&mut opening).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        most = most.max(bench.sessions().await.0);
    }
    assert!(most > 0, "no session was opened at all");
    bench.left(0).await;
    fewer_tasks(before).await;
}

#[tokio::test]
async fn who_leaves_before_it_knows_its_session_holds_it_all_the_same() {
    let bench = Bench::open(READ, "challenge", "max_sessions_per_principal = 3").await;
    let reader = principal("read");
    let message = initialize();
    for _ in 0..20 {
        let mut opening = std::pin::pin!(bench.send(&reader, http::Request::post("/e"), &message));
        // Far enough for the session to be asked for, not for the answer.
        let _ = poll!(&mut opening);
    }
    settle().await;
    assert_eq!(bench.sessions().await, (3, 3));
}

#[tokio::test]
async fn what_is_under_way_keeps_a_session_and_its_end_lets_it_go() {
    let bench = Bench::open(READ, "challenge", SHORT).await;
    let reader = principal("read");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": { "text": "x" } } });
    for (name, method, message) in
        [("a stream", Method::GET, Value::Null), ("an answer that nobody reads", Method::POST, call)]
    {
        let busy = bench.session(&reader).await;
        let first = bench.send(&reader, within(method.clone(), &busy), &message).await;
        let second = bench.send(&reader, within(Method::GET, &busy), &Value::Null).await;
        assert!(stream::is_stream(&first) && stream::is_stream(&second), "{name}");
        drop(second);
        // Sessions that were opened later come and go meanwhile.
        for _ in 0..2 {
            bench.session(&reader).await;
            bench.left(1).await;
        }
        drop(first);
        bench.left(0).await;
        assert_eq!(bench.ping(&reader, &busy).await, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_with_its_token_leaves_an_idle_session() {
    let bench = Bench::open(READ, "challenge", SHORT).await;
    let session = bench.session(&principal("read")).await;
    let soon = somebody("read", SystemTime::now() + Duration::from_millis(300));
    let stream = bench.stream(&soon, &session).await;
    assert_eq!(stream.rest().await, Vec::<Value>::new());
    bench.left(0).await;
}

#[tokio::test]
async fn full_tables_drop_expired_sessions_first() {
    let bench = Bench::open(READ, "challenge", "session_idle = \"1ms\"\nmax_sessions = 1").await;
    let reader = principal("read");
    let message = initialize();
    for round in 0..20 {
        let response = bench.send(&reader, http::Request::post("/e"), &message).await;
        assert_eq!(response.status(), StatusCode::OK, "{round}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_search_for_idle_sessions_ends_with_the_endpoint() {
    let before = tasks();
    let bench = Bench::open(READ, "challenge", SHORT).await;
    bench.session(&principal("read")).await;
    bench.stop.cancel();
    fewer_tasks(before).await;
}
