//! Documents over real sockets: what is fetched, from where, how often and how much of it.

mod bounds;
pub(in crate::devauth) mod site;

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use site::{Reply, Site};

use super::{
    connect::{Judge, Names},
    *,
};

/// Answers with what it was told, one after the other, the last again and again.
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(parse).collect()), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Names for Scripted {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        next.ok_or_else(|| io::Error::other("no such name"))
    }
}

/// As the real judge, but that 127.0.0.1 stands for a public address: a test has no other.
const HERE_IS_PUBLIC: Judge = |address| {
    let here = address == IpAddr::V4(Ipv4Addr::LOCALHOST);
    if here { None } else { super::address::special(address) }
};

/// Faster than any test.
const MANY: Pace = Pace { per_second: NonZeroU32::new(1_000_000).unwrap(), burst: NonZeroU32::new(1_000_000).unwrap() };

const REAL: Judge = super::address::special;

fn documents(loopback: bool, names: &Arc<Scripted>, judge: Judge, site: Option<&Site>) -> Documents {
    let rules = Rules { loopback, loopback_setting: "the_key = true", ..Rules::default() };
    let certificates = site.and_then(|site| site.certificate.clone()).into_iter().collect();
    let names: Arc<dyn Names> = names.clone();
    Documents::with(rules, World { names, judge, certificates, ..World::real() }, MANY)
}

/// Documents of a site that is on the public internet, as far as they know.
fn of(site: &Site) -> Documents {
    documents(false, &Scripted::new(&[&["127.0.0.1"]]), HERE_IS_PUBLIC, Some(site))
}

/// Documents of this machine.
fn of_this_machine() -> Documents {
    documents(true, &Scripted::new(&[]), REAL, None)
}

async fn fault(documents: &Documents, client_id: &str) -> String {
    documents.describe(client_id, None, 0).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_document_on_the_web_is_fetched_over_tls_and_describes_its_client() {
    let site = Site::secure("client.example", Reply::document()).await;
    let described = of(&site).describe(&site.url("/client.json"), None, 0).await.unwrap();
    assert_eq!(described.metadata.client_name.as_deref(), Some("Editor"));
    assert_eq!(described.at.host(), format!("client.example:{}", site.port()));
    assert_eq!((site.connections(), site.requests()), (1, 1));
}

#[tokio::test]
async fn a_site_without_a_good_certificate_is_asked_for_nothing() {
    let stranger = Site::secure("client.example", Reply::document()).await;
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let untrusting = documents(false, &names, HERE_IS_PUBLIC, None);
    let impostor = Site::impostor("client.example", "other.example").await;
    for (site, documents) in [(&stranger, &untrusting), (&impostor, &of(&impostor))] {
        let fault = fault(documents, &site.url("/client.json")).await;
        assert!(fault.contains("no certificate that this server trusts"), "{fault}");
        assert_eq!((site.connections(), site.requests()), (1, 0));
    }
}

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_lead_inside() {
    let site = Site::secure("client.example", Reply::document()).await;
    let port = site.port();
    let no_names = Scripted::new(&[]);
    let closed = documents(false, &no_names, REAL, Some(&site));
    for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"] {
        for scheme in ["https", "http"] {
            fault(&closed, &format!("{scheme}://{host}:{port}/client.json")).await;
        }
    }
    assert_eq!(no_names.asked(), 0, "these are refused before any name is resolved");

    // what a name resolves to
    let cases: [&[&str]; 14] = [
        &["127.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::127.0.0.1"],
        &["0.0.0.0"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["100.64.0.1"],
        &["fd00:ec2::254"],
        &["fe80::1"],
        &["224.0.0.1"],
        &["8.8.8.8", "127.0.0.1"],
        &["2606:4700::1111", "::1"],
        &[],
    ];
    for answer in cases {
        for loopback in [false, true] {
            let names = Scripted::new(&[answer]);
            let documents = documents(loopback, &names, REAL, Some(&site));
            let fault = fault(&documents, &format!("https://client.example:{port}/client.json")).await;
            assert!(fault.contains("does not lead to public addresses alone"), "{answer:?}: {fault}");
            assert!(!answer.iter().any(|address| fault.contains(address)), "{answer:?}: {fault}");
            assert_eq!(names.asked(), 1, "{answer:?}");
        }
    }
    // A connection is in the listener's queue before the one who makes it knows of it, so by now it would be counted;
    // this one, which is allowed, comes after all that were not.
    of(&site).describe(&site.url("/client.json"), None, 0).await.unwrap();
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_resolved_once_and_leads_nowhere_else() {
    let site = Site::secure("client.example", Reply::document()).await;
    let url = site.url("/client.json");
    // Good when it is judged, inner from then on.
    let names = Scripted::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let rebinding = documents(false, &names, HERE_IS_PUBLIC, Some(&site));
    rebinding.describe(&url, None, 0).await.unwrap();
    assert_eq!((names.asked(), site.requests()), (1, 1));
    // When it is fetched again, it is judged again.
    let fault = rebinding.describe(&url, None, 100_000).await.unwrap_err().to_string();
    assert!(fault.contains("does not lead to public addresses alone"), "{fault}");
    assert_eq!((names.asked(), site.requests(), site.connections()), (2, 1, 1));
    // Inner when it is judged.
    let names = Scripted::new(&[&["10.0.0.1"], &["127.0.0.1"]]);
    let rebinding = documents(false, &names, HERE_IS_PUBLIC, Some(&site));
    rebinding.describe(&url, None, 0).await.unwrap_err();
    assert_eq!((names.asked(), site.connections()), (1, 1));
    rebinding.describe(&url, None, 0).await.unwrap();
    assert_eq!((names.asked(), site.connections()), (2, 2), "what was wrong is not kept");
}

#[tokio::test]
async fn a_document_of_this_machine_needs_the_switch_and_no_name_service() {
    let site = Site::plain(Reply::document()).await;
    let url = site.url("/client.json");
    let names = Scripted::new(&[&["10.0.0.1"]]);
    let fault = fault(&documents(false, &names, REAL, None), &url).await;
    assert!(fault.contains("names this machine") && fault.ends_with("set the_key = true"), "{fault}");
    assert_eq!(site.connections(), 0);
    let open = documents(true, &names, REAL, None);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("http://{host}:{}/client.json", site.port());
        let described = open.describe(&url, None, 0).await;
        // The document says that it is at localhost.
        assert_eq!(described.is_ok(), host == "localhost", "{host}: {described:?}");
    }
    assert_eq!((names.asked(), site.requests()), (0, 2));
}

#[tokio::test]
async fn answers_that_are_no_document() {
    let elsewhere = Site::plain(Reply::document()).await;
    let site = Site::plain(Reply::document()).await;
    let documents = of_this_machine();
    let url = site.url("/client.json");
    let body = format!("{{\"client_id\":\"{url}\",\"client_name\":\"x\",\"redirect_uris\":[\"https://a.example/\"]}}");
    let raw = |head: &str| Reply::Octets(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").into_bytes());
    let location = format!("Location: {}\r\n", elsewhere.url("/client.json"));
    let long = "x".repeat(6000);
    let cases: Vec<(&str, Reply, &str)> = vec![
        ("a redirect", Reply::json("302 Found", &location, ""), "answers 302, a redirect"),
        ("a permanent redirect", Reply::json("308 Permanent Redirect", &location, ""), "answers 308, a redirect"),
        ("not modified", Reply::json("304 Not Modified", "", ""), "answers 304"),
        ("nothing there", Reply::json("404 Not Found", "", "{}"), "answers 404 and not 200"),
        ("created", Reply::json("201 Created", "", &body), "answers 201 and not 200"),
        ("a part", Reply::json("206 Partial Content", "", &body), "answers 206 and not 200"),
        ("broken inside", Reply::json("500 Internal Server Error", "", "{}"), "answers 500 and not 200"),
        ("HTML", raw("Content-Type: text/html\r\n"), "has the content type \"text/html\""),
        ("text", raw("Content-Type: text/plain; charset=utf-8\r\n"), "has the content type"),
        ("almost JSON", raw("Content-Type: application/jsonp\r\n"), "has the content type"),
        ("JSON of no application", raw("Content-Type: text/json\r\n"), "has the content type"),
        ("no type", raw(""), "has no content type"),
        (
            "compressed",
            raw("Content-Type: application/json\r\nContent-Encoding: gzip\r\n"),
            "the content coding \"gzip\"",
        ),
        ("long, and it says so", Reply::json("200 OK", "", &long), "longer than 5120 bytes"),
        ("no HTTP", Reply::Octets(b"220 mail.example ESMTP\r\n".to_vec()), "cannot be connected to"),
        ("nothing at all", Reply::Octets(Vec::new()), "cannot be connected to"),
        (
            "cut",
            Reply::Octets(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{".to_vec()),
            "ended the connection within the document",
        ),
        ("not JSON", Reply::json("200 OK", "", "<html>"), "not JSON: line 1, column 1"),
    ];
    for (what, reply, said) in cases {
        site.reply(reply);
        let fault = fault(&documents, &url).await;
        assert!(fault.contains(said), "{what}: {fault}");
    }
    assert_eq!(elsewhere.connections(), 0, "no redirect was followed");
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/oauth-client+json"] {
        site.reply(raw(&format!("Content-Type: {kind}\r\n")));
        documents.describe(&url, None, 0).await.unwrap_or_else(|fault| panic!("{kind}: {fault}"));
    }
    site.reply(Reply::json("200 OK", "", &format!("{body}{}", " ".repeat(5120 - body.len()))));
    documents.describe(&url, None, 0).await.expect("as long as may be");
}

#[tokio::test]
async fn a_document_is_kept_for_as_long_as_http_says_within_bounds() {
    const DAY: u64 = 24 * 60 * 60;
    let site = Site::secure("client.example", Reply::document()).await;
    // what it comes with, the last second that it is kept
    let cases = [
        ("", 29),
        ("no-store", 29),
        ("no-cache", 29),
        ("max-age=0", 29),
        ("max-age=5", 29),
        ("private, max-age=600", 29),
        ("max-age=600", 599),
        ("public, max-age=600, s-maxage=60", 59),
        ("max-age=nonsense", 29),
        ("max-age=31536000, immutable", DAY - 1),
        ("max-age=99999999999999999999999", 29),
        ("max-age=600\r\nAge: 500", 99),
        ("max-age=600\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT", 599),
        ("max-age=600\r\nVary: *", 29),
    ];
    for (index, (control, last)) in cases.into_iter().enumerate() {
        let documents = of(&site);
        site.reply(Reply::cached(control));
        let url = site.url(&format!("/{index}.json"));
        let before = site.requests();
        let ask = async |now| documents.describe(&url, None, 1_000 + now).await.map(drop).unwrap();
        ask(0).await;
        ask(last).await;
        assert_eq!(site.requests() - before, 1, "{control:?}: kept");
        ask(last + 1).await;
        assert_eq!(site.requests() - before, 2, "{control:?}: fetched again");
    }
}

#[tokio::test]
async fn a_document_that_ran_out_is_not_used_when_it_cannot_be_fetched_again() {
    let site = Site::secure("client.example", Reply::cached("max-age=600")).await;
    let (documents, url) = (of(&site), site.url("/client.json"));
    documents.describe(&url, None, 0).await.unwrap();
    site.reply(Reply::json("500 Internal Server Error", "", "{}"));
    documents.describe(&url, None, 599).await.unwrap();
    assert!(documents.describe(&url, None, 600).await.unwrap_err().to_string().contains("answers 500"));
    site.reply(Reply::with("\"client_name\":\"Renamed\""));
    let described = documents.describe(&url, None, 600).await.unwrap();
    assert_eq!(described.metadata.client_name.as_deref(), Some("Renamed"), "mended, it is seen at once");
}

#[tokio::test]
async fn a_redirect_uri_that_a_kept_document_lacks_makes_it_be_fetched_again_but_not_lost() {
    let site = Site::secure("client.example", Reply::cached("max-age=600")).await;
    let (documents, url) = (of(&site), site.url("/client.json"));
    let wanted = Some("https://editor.example/new");
    let ask = async |wanted, now| documents.describe(&url, wanted, now).await.unwrap().allows(wanted);
    assert!(!ask(wanted, 0).await);
    assert!(!ask(wanted, RECHECK - 1).await, "just fetched");
    assert!(ask(Some("http://127.0.0.1:50000/callback"), RECHECK).await, "held, whatever the port");
    assert_eq!(site.requests(), 1);
    assert!(!ask(wanted, RECHECK).await);
    assert_eq!(site.requests(), 2);
    site.reply(Reply::json("404 Not Found", "", "{}"));
    assert!(!ask(wanted, 5 * RECHECK).await);
    assert_eq!(site.requests(), 3);
    assert!(ask(None, 5 * RECHECK).await, "the kept one is still good");
    site.reply(Reply::with("\"redirect_uris\":[\"https://editor.example/new\"]"));
    assert!(ask(wanted, 5 * RECHECK).await);
}

#[tokio::test]
async fn however_many_ask_at_once_a_document_is_fetched_once() {
    let held = Arc::new(Semaphore::new(0));
    let site = Site::secure("client.example", Reply::Held(Arc::clone(&held))).await;
    let (documents, url) = (Arc::new(of(&site)), site.url("/client.json"));
    let ask = || {
        let (documents, url) = (Arc::clone(&documents), url.clone());
        tokio::spawn(async move { documents.describe(&url, None, 0).await.map(drop) })
    };
    // Who began it goes away; another goes on.
    let first = ask();
    while site.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..50).map(|_| ask()).collect();
    first.abort();
    let _ = first.await;
    held.add_permits(2);
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(site.requests() <= 2, "{}", site.requests());
}
