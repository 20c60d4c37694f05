//! What ends: documents, what comes before them, questions to name services, and what is kept.

use super::{
    super::{connect::MAX_LOOKUPS, turns::MAX_OF_HOST},
    *,
};

#[tokio::test]
async fn bodies_without_end_and_sites_that_fall_silent_are_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
    let site = Site::plain(Reply::Endless(head.clone())).await;
    let url = site.url("/client.json");
    assert!(fault(&of_this_machine(), &url).await.contains("longer than 5120 bytes"));

    let rules = Rules { loopback: true, ..Rules::default() };
    let world = World { time: Duration::from_millis(300), ..World::real() };
    let hasty = Documents::with(rules, world, Pace::USUAL);
    for silent in [Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec(), head] {
        site.reply(Reply::Stalled(silent));
        let fault = fault(&hasty, &url).await;
        assert!(fault.contains("did not send the document within"), "{fault}");
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_given_up_by_their_length_and_a_few_are_read() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let endless = Reply::Repeated(interim.as_bytes().to_vec());
    let plain = Site::plain(endless.clone()).await;
    let secure = Site::secure("client.example", endless).await;
    for (documents, url) in [(of_this_machine(), plain.url("/client.json")), (of(&secure), secure.url("/client.json"))]
    {
        let fault = fault(&documents, &url).await;
        assert!(fault.contains("sends more than 65536 bytes around the document"), "{fault}");
    }
    let url = plain.url("/client.json");
    let body = format!("{{\"client_id\":\"{url}\",\"client_name\":\"x\",\"redirect_uris\":[\"https://a.example/\"]}}");
    let answer = format!("{}HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{body}", interim.repeat(500));
    plain.reply(Reply::Octets(answer.into_bytes()));
    of_this_machine().describe(&url, None, 0).await.expect("a few");
}

/// Never answers.
struct Hanging(AtomicUsize);

#[async_trait]
impl Names for Hanging {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

/// Documents of the web whose names are never resolved.
fn unresolved(names: &Arc<Hanging>) -> Documents {
    let rules = Rules::default();
    let brief = Duration::from_millis(20);
    let names: Arc<dyn Names> = names.clone();
    Documents::with(rules, World { names, time: brief, patience: 2 * brief, ..World::real() }, MANY)
}

#[tokio::test]
async fn a_name_service_that_hangs_is_given_up_and_asked_no_more_than_a_few_questions() {
    let names = Arc::new(Hanging(AtomicUsize::new(0)));
    let documents = unresolved(&names);
    for n in 0..MAX_LOOKUPS + 10 {
        let fault = fault(&documents, &format!("https://{n}.example/client.json")).await;
        assert!(fault.contains("did not send the document within"), "{fault}");
    }
    // The system's resolver cannot be stopped, so what was given up keeps its place.
    assert_eq!(names.0.load(Ordering::SeqCst), MAX_LOOKUPS);
}

#[tokio::test]
async fn a_name_that_is_resolved_without_end_takes_the_places_of_its_host_and_no_more() {
    let names = Arc::new(Hanging(AtomicUsize::new(0)));
    let documents = unresolved(&names);
    for n in 0..10 {
        let fault = fault(&documents, &format!("https://slow.example:{}/{n}.json", 8000 + n)).await;
        assert_eq!(fault.contains("too many"), n >= MAX_OF_HOST, "{n}: {fault}");
    }
    assert_eq!(names.0.load(Ordering::SeqCst), MAX_OF_HOST);
    // Another one has its own.
    let other = fault(&documents, "https://other.example/client.json").await;
    assert!(other.contains("did not send the document within"), "{other}");
    assert_eq!(names.0.load(Ordering::SeqCst), MAX_OF_HOST + 1);
}

#[tokio::test]
async fn a_host_that_is_slow_holds_up_nobody_else() {
    let slow = Site::plain(Reply::Stalled(Vec::new())).await;
    let rules = Rules { loopback: true, ..Rules::default() };
    let long = Duration::from_secs(600);
    let documents = Arc::new(Documents::with(rules, World { time: long, patience: long, ..World::real() }, MANY));
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let (documents, url) = (Arc::clone(&documents), slow.url(&format!("/{n}.json")));
            tokio::spawn(async move { documents.describe(&url, None, 0).await.map(drop) })
        })
        .collect();
    while slow.requests() < MAX_OF_HOST {
        tokio::task::yield_now().await;
    }
    let quick = Site::plain(Reply::document()).await;
    let url = format!("http://127.0.0.1:{}/client.json", quick.port());
    let body = format!("{{\"client_id\":\"{url}\",\"client_name\":\"x\",\"redirect_uris\":[\"https://a.example/\"]}}");
    quick.reply(Reply::json("200 OK", "", &body));
    tokio::time::timeout(long / 10, documents.describe(&url, None, 0)).await.expect("in time").expect("a document");
    assert_eq!(slow.requests(), MAX_OF_HOST);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
}

#[tokio::test]
async fn a_thousand_clients_leave_no_more_than_may_be_kept() {
    let site = Site::plain(Reply::document()).await;
    let documents = of_this_machine();
    for n in 0..1000 {
        let url = site.url(&format!("/{n}.json"));
        documents.describe(&url, None, 0).await.unwrap();
    }
    assert_eq!(site.requests(), 1000);
    documents.kept.run_pending_tasks().await;
    assert!(documents.kept.entry_count() <= MAX_DOCUMENTS, "{}", documents.kept.entry_count());
}

#[tokio::test]
async fn strangers_cannot_make_the_server_fetch_without_end() {
    let site = Site::plain(Reply::json("404 Not Found", "", "{}")).await;
    let rules = Rules { loopback: true, ..Rules::default() };
    // One a day, so that no time that the test takes matters.
    let pace = Pace { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(3).unwrap() };
    let slow = Quota::with_period(Duration::from_secs(86_400)).unwrap().allow_burst(pace.burst);
    let mut documents = Documents::with(rules, World::real(), pace);
    documents.pace = RateLimiter::direct(slow);
    for n in 0..10 {
        let fault = documents.describe(&site.url(&format!("/{n}.json")), None, 0).await.unwrap_err();
        assert_eq!(fault == Fault::Busy, n >= 3, "{n}: {fault}");
    }
    assert_eq!(site.connections(), 3);
}
