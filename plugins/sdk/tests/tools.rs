//! What `#[tools]`, `#[arguments]` and `#[output]` make of an author's code.

use std::sync::atomic::{AtomicUsize, Ordering};

use toolgate_plugin::{
    CallContext, Described, Health, Json, ToolCall, ToolError, ToolProvider, ToolResult, arguments, output, serde_json,
    serde_json::{Value, json},
    testing::{Host, test},
    tools,
};

#[arguments]
struct Book {
    /// The room's number,
    /// as on its door.
    room: u16,
    /// How long.
    duration: Duration,
}

/// How long a room is needed.
#[arguments]
#[derive(Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Duration {
    HalfDay,
    WholeDay,
}

#[arguments]
struct Anything {
    word: String,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, String>,
}

#[arguments]
struct Guests {
    /// Who comes.
    party: Vec<Guest>,
}

#[arguments]
struct Guest {
    #[serde(rename = "age/years")]
    age: u32,
}

#[output]
struct Booking {
    /// What to show at the desk.
    number: u32,
}

struct Refusal;

impl From<Refusal> for ToolError {
    fn from(_: Refusal) -> Self {
        Self::failed("the room is taken; try another")
    }
}

type Outcome<T> = Result<T, Refusal>;

#[derive(Default)]
struct Desk {
    booked: AtomicUsize,
    closed: AtomicUsize,
}

#[tools]
impl Desk {
    /// Book a room
    /// for a while.
    ///
    /// Fails when it is taken.
    #[tool(destructive = false, idempotent = false, open_world = true, title = "Book a room")]
    async fn book(&self, Book { room, duration }: Book) -> Outcome<Booking> {
        if room == 13 {
            return Err(Refusal);
        }
        self.count();
        Ok(Booking { number: u32::from(room) * 10 + duration as u32 })
    }

    /// Everything is free again.
    #[tool(name = "desk.clear", destructive)]
    async fn clear(&self) -> String {
        self.booked.store(0, Ordering::Relaxed);
        "done".into()
    }

    /// Who asks, and with what.
    #[tool(read_only)]
    async fn r#who(&self, cx: CallContext, args: Anything) -> Json<Vec<String>> {
        let mut all = vec![cx.caller.subject.to_string(), args.word];
        all.extend(cx.caller.scopes.iter().map(ToString::to_string));
        all.extend(args.rest.into_keys());
        Json(all)
    }

    /** How many.

    Two paragraphs
    in one comment. */
    #[tool]
    async fn count_all(&self, _cx: toolgate_plugin::CallContext) -> Result<Described<Booking>, String> {
        let number = u32::try_from(self.booked.load(Ordering::Relaxed)).map_err(|error| error.to_string())?;
        Ok(Described { text: format!("{number} booked"), value: Booking { number } })
    }

    /// Say who comes.
    #[tool]
    async fn expect(&self, Guests { party }: Guests) -> String {
        party.iter().map(|guest| guest.age).sum::<u32>().to_string()
    }

    /// Left out of every build.
    #[cfg(any())]
    #[tool]
    async fn absent(&self) -> Nothing {
        Nothing
    }

    /// The name of an inherent function may be that of the trait's.
    #[tool(name = "tools")]
    async fn tools(&self) -> ToolResult {
        ToolResult::text("a hammer")
    }

    #[health]
    async fn health(&self) -> Health {
        Health::Degraded(format!("{} booked", self.booked.load(Ordering::Relaxed)))
    }

    #[shutdown]
    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) {
        self.booked.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
async fn tools_are_listed_as_their_code_says() {
    let desk = Host::of(Desk::default()).await.expect("the tools are sound");
    let listed: Vec<_> = desk.tools().collect();
    let schema = "https://json-schema.org/draft/2020-12/schema";
    let booking = json!({
        "$schema": schema,
        "type": "object",
        "properties": {
            "number": { "description": "What to show at the desk.", "type": "integer", "minimum": 0},
        },
        "required": ["number"],
    });
    let nothing = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let expected = json!([
        {
            "name": "book",
            "title": "Book a room",
            "description": "Book a room for a while.\n\nFails when it is taken.",
            "inputSchema": {
                "$schema": schema,
                "type": "object",
                "properties": {
                    "room": {
                        "description": "The room's number, as on its door.",
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 65535,
                    },
                    "duration": { "description": "How long.", "$ref": "#/$defs/Duration" },
                },
                "additionalProperties": false,
                "required": ["room", "duration"],
                "$defs": {
                    "Duration": {
                        "description": "How long a room is needed.",
                        "type": "string",
                        "enum": ["half_day", "whole_day"],
                    },
                },
            },
            "outputSchema": booking,
            "annotations": { "destructiveHint": false, "idempotentHint": false, "openWorldHint": true },
        },
        {
            "name": "desk.clear",
            "description": "Everything is free again.",
            "inputSchema": nothing,
            "annotations": { "destructiveHint": true },
        },
        {
            "name": "who",
            "description": "Who asks, and with what.",
            "inputSchema": {
                "$schema": schema,
                "type": "object",
                "properties": { "word": { "type": "string" } },
                "additionalProperties": { "type": "string" },
                "required": ["word"],
            },
            "outputSchema": { "$schema": schema, "type": "array", "items": { "type": "string" } },
            "annotations": { "readOnlyHint": true, "destructiveHint": false },
        },
        {
            "name": "count_all",
            "description": "How many.\n\nTwo paragraphs in one comment.",
            "inputSchema": nothing,
            "outputSchema": booking,
        },
        {
            "name": "expect",
            "description": "Say who comes.",
            "inputSchema": {
                "$schema": schema,
                "type": "object",
                "properties": {
                    "party": {
                        "description": "Who comes.",
                        "type": "array",
                        "items": { "$ref": "#/$defs/Guest" },
                    },
                },
                "additionalProperties": false,
                "required": ["party"],
                "$defs": {
                    "Guest": {
                        "type": "object",
                        "properties": { "age/years": { "type": "integer", "minimum": 0 } },
                        "additionalProperties": false,
                        "required": ["age/years"],
                    },
                },
            },
        },
        {
            "name": "tools",
            "description": "The name of an inherent function may be that of the trait's.",
            "inputSchema": nothing,
        },
    ]);
    assert_eq!(serde_json::to_value(listed).expect("tools are JSON"), expected);
}

#[test]
async fn the_list_is_built_once() {
    let desk = Desk::default();
    let schemas = async || {
        let tools = ToolProvider::tools(&desk).await.expect("the tools are listed");
        tools.into_iter().map(|tool| tool.input_schema).collect::<Vec<_>>()
    };
    for (first, second) in schemas().await.iter().zip(&schemas().await) {
        assert!(std::sync::Arc::ptr_eq(first, second));
    }
}

#[test]
async fn calls_are_answered_as_their_code_says() {
    let desk = Host::of(Desk::default()).await.expect("the tools are sound").as_caller("ada", &["desk:read"]);
    let room = |room: u16| json!({ "room": room, "duration": "whole_day" });
    let who = json!({ "word": "w", "extra": "e" });
    let cases = [
        ("book", room(4), false, r#"{"number":41}"#, json!({ "number": 41 })),
        ("book", room(13), true, "the room is taken; try another", Value::Null),
        ("count_all", json!({}), false, "1 booked", json!({ "number": 1 })),
        ("desk.clear", json!({}), false, "done", Value::Null),
        ("count_all", json!({}), false, "0 booked", json!({ "number": 0 })),
        ("who", who, false, r#"["ada","w","desk:read","extra"]"#, json!(["ada", "w", "desk:read", "extra"])),
        ("tools", json!({}), false, "a hammer", Value::Null),
    ];
    for (row, (tool, arguments, is_error, text, structured)) in cases.into_iter().enumerate() {
        let answer = desk.call(tool, arguments).await;
        assert_eq!((answer.is_error, answer.text().as_str()), (is_error, text), "row {row}");
        assert_eq!(answer.structured(), &structured, "row {row}");
    }
}

#[test]
async fn arguments_that_only_the_code_refuses_are_named_by_their_place() {
    let desk = Desk::default();
    // No schema has a bound for it, so that nobody has looked at it before.
    let Value::Object(arguments) = json!({ "party": [{ "age/years": 1 }, { "age/years": 5_000_000_000_u64 }] }) else {
        unreachable!()
    };
    let call = ToolCall { name: "expect".into(), arguments };
    let refused = ToolProvider::call(&desk, call, CallContext::for_tests()).await;
    let Err(ToolError::InvalidArguments { path, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(path, "/party/1/age~1years");
    assert_eq!(message, "invalid value: integer `5000000000`, expected u32");
}

#[test]
async fn health_and_shutdown_are_those_of_the_marked_functions() {
    let desk = Desk::default();
    assert_eq!(ToolProvider::health(&desk).await, Health::Degraded("0 booked".into()));
    ToolProvider::shutdown(&desk).await;
    assert_eq!(desk.closed.load(Ordering::Relaxed), 1);
}
