//! What the plugin promises to those who call it and to those who configure it.

use hello::Hello;
use toolgate_plugin::{
    serde_json::json,
    testing::{Host, test},
};

#[test]
async fn a_greeting_begins_with_hello_unless_the_settings_say_otherwise() {
    for (settings, greeting) in [(json!({}), "Hello, Ada!"), (json!({ "greeting": "Moin" }), "Moin, Ada!")] {
        let hello = Host::start::<Hello>(settings).await.expect("the settings fit");
        assert_eq!(hello.call("greet", json!({ "name": "Ada" })).await.text(), greeting);
    }
}

#[test]
async fn a_greeting_needs_a_name() {
    let hello = Host::start::<Hello>(json!({})).await.expect("there need not be settings");
    let refused = hello.call("greet", json!({})).await;
    assert!(refused.is_error);
    assert_eq!(refused.text(), "the arguments do not fit: \"name\" is a required property");
}

#[test]
async fn a_misspelt_setting_is_refused() {
    let error = Host::start::<Hello>(json!({ "greting": "Moin" })).await.err().expect("there is no such setting");
    assert!(error.to_string().contains("greting"), "{error}");
}
