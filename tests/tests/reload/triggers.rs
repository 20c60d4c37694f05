//! What makes the server look at its files, and what does not make it reload.

use std::fs;

use toolgate_tests::server::Launch;

use crate::house::{CONFIG, House, RELOADED, UNCHANGED};

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_without_a_change_says_so() {
    let mut house = House::open().await;
    let log = house.until(UNCHANGED, async |house: &mut House| house.server.signal("HUP").await).await;
    assert!(!log.contains(RELOADED), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_only_touched_reloads_nothing() {
    let mut house = House::open().await;
    house.write(CONFIG);
    fs::write(house.path(), CONFIG).expect("the configuration");
    // Whatever those events led to is over when a hangup has been answered and a later edit has been seen.
    house.until(UNCHANGED, async |house: &mut House| house.server.signal("HUP").await).await;
    house.reload("[scopes.\"notes:write\"]", "[scopes.\"notes:write\"]\n[scopes.\"notes:new\"]").await;
    assert_eq!(house.told(RELOADED), 1, "{}", house.server.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_in_place_is_seen() {
    let mut house = House::open().await;
    let edited = CONFIG.replace("echo = { scopes = [\"notes:read\"]", "echo = { scopes = [\"notes:write\"]");
    house.until(RELOADED, async |house: &mut House| fs::write(house.path(), &edited).expect("the configuration")).await;
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_in_the_file_beside_are_seen() {
    let config = CONFIG.replace("[\"notes:read\"] }", "[\"${SCOPE}\"] }");
    let mut house = House::with(&config, |launch| launch.file(".env", "SCOPE=notes:read\n")).await;
    let reader = house.token("notes:read");
    assert_eq!(house.call(&reader, "echo").await, 200);
    let beside = house.server.folder().join(".env");
    house
        .until(RELOADED, async |_: &mut House| fs::write(&beside, "SCOPE=notes:write\n").expect("the variables"))
        .await;
    assert_eq!(house.call(&reader, "echo").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_behind_links_is_followed_as_mounted_ones_change() {
    // As Kubernetes mounts a ConfigMap: config.toml -> ..data/config.toml, ..data -> ..one, which is exchanged whole.
    let lay = |launch: Launch| {
        let folder = launch.folder().to_owned();
        fs::create_dir(folder.join("..one")).expect("a folder");
        fs::rename(folder.join("config.toml"), folder.join("..one/config.toml")).expect("moved");
        std::os::unix::fs::symlink("..one", folder.join("..data")).expect("a link");
        std::os::unix::fs::symlink("..data/config.toml", folder.join("config.toml")).expect("a link");
        launch
    };
    let mut house = House::with(CONFIG, lay).await;
    let folder = house.server.folder().to_owned();
    for (name, scope, status) in [("..two", "notes:write", 403), ("..three", "notes:read", 200)] {
        fs::create_dir(folder.join(name)).expect("a folder");
        fs::write(folder.join(name).join("config.toml"), CONFIG.replace("[\"notes:read\"]", &format!("[\"{scope}\"]")))
            .expect("the configuration");
        house
            .until(RELOADED, async |_: &mut House| {
                std::os::unix::fs::symlink(name, folder.join("..data_tmp")).expect("a link");
                fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("exchanged");
            })
            .await;
        assert_eq!(house.call(&house.token("notes:read"), "echo").await, status, "{name}");
    }
}
