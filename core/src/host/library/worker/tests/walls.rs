//! What a worker can reach, tried from inside.

use super::*;

#[tokio::test]
async fn the_environment_is_empty() {
    let link = Bench::new().start().await;
    assert_eq!(number(&*link, "environment", "").await, 0);
    link.close().await;
}
