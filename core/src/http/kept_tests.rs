//! What is made once, for whom, and for how long it stays.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::task::TaskTracker;

use super::*;
use crate::config::Config;

async fn registry() -> Arc<Registry> {
    let built = Registry::build(&Config::default(), TaskTracker::new()).await;
    Arc::new(built.unwrap_or_else(|_| panic!("nothing is wrong with an empty configuration")).0)
}

/// Texts, each as heavy as it is long.
fn texts() -> Arc<Kept<&'static str, Arc<str>>> {
    Arc::new(Kept::new(|text: &Arc<str>| text.len()))
}

async fn made(
    kept: &Arc<Kept<&'static str, Arc<str>>>,
    registry: &Arc<Registry>,
    key: &'static str,
) -> (Arc<str>, bool) {
    let anew = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&anew);
    let make = move |_: &Registry, key: &&str| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some(Arc::from(*key))
    };
    (kept.or_made(registry, key, make).await.unwrap(), anew.load(Ordering::Relaxed) == 1)
}

#[tokio::test]
async fn what_was_made_is_given_again_while_its_registry_serves() {
    let (kept, first, second) = (texts(), registry().await, registry().await);
    let (one, anew) = made(&kept, &first, "a").await;
    assert!(anew);
    let (same, anew) = made(&kept, &first, "a").await;
    assert!(!anew && Arc::ptr_eq(&one, &same), "shared, not copied");
    assert!(made(&kept, &first, "b").await.1);
    assert!(!made(&kept, &first, "a").await.1);
    assert!(made(&kept, &second, "a").await.1, "another registry's is another");
    assert!(made(&kept, &second, "b").await.1, "nothing of the one before is left");
    // A request that began before the swap.
    assert!(made(&kept, &first, "a").await.1);
    drop(first);
    assert!(made(&kept, &second, "a").await.1);
}

#[tokio::test]
async fn those_who_come_together_wait_for_one() {
    let (kept, registry) = (texts(), registry().await);
    let times = Arc::new(AtomicUsize::new(0));
    let all = (0..8).map(|_| {
        let times = Arc::clone(&times);
        kept.or_made(&registry, "a", move |_, _| {
            times.fetch_add(1, Ordering::Relaxed);
            Some(Arc::from("text"))
        })
    });
    let texts = futures_util::future::join_all(all).await;
    assert!(texts.iter().all(|text| text.as_deref() == Some("text")));
    assert_eq!(times.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_cannot_be_made_is_tried_again() {
    let (kept, registry) = (texts(), registry().await);
    assert_eq!(kept.or_made(&registry, "a", |_, _| None).await, None);
    assert_eq!(kept.or_made(&registry, "a", |_, _| panic!("a fault")).await, None);
    assert!(made(&kept, &registry, "a").await.1);
}

#[tokio::test]
async fn what_was_not_asked_for_longest_makes_way() {
    let (kept, registry) = (Arc::new(Kept::new(|_: &Arc<str>| MOST / 2)), registry().await);
    for (key, anew) in [("a", true), ("b", true), ("a", false), ("c", true), ("a", false), ("b", true), ("c", true)] {
        assert_eq!(made(&kept, &registry, key).await.1, anew, "{key}");
    }
    let heavy = Arc::new(Kept::new(|_: &Arc<str>| 2 * MOST));
    for key in ["a", "b"] {
        assert!(made(&heavy, &registry, key).await.1);
        assert!(!made(&heavy, &registry, key).await.1, "what was asked for last stays, however heavy it is");
    }
}
