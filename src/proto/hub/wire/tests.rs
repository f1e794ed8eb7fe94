//! The types against the schema: frames are made from the schema at random, so that no member is forgotten.

use super::{ClientFrame, ErrorCode, Event, Malformed, ServerFrame, decode_client, decode_server, encode, encode_ev};
use fastrand::Rng;
use serde_json::{Map, Value, json};

const SCHEMA: &str = include_str!("../../../../docs/hub-protocol.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator(of: &str) -> jsonschema::Validator {
    let mut schema = schema();
    schema.as_object_mut().unwrap().remove("oneOf");
    schema["$ref"] = json!(format!("#/$defs/{of}"));
    jsonschema::validator_for(&schema).unwrap()
}

fn kinds(of: &str) -> Vec<String> {
    let name = |branch: &Value| branch["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    schema()["$defs"][of]["oneOf"].as_array().unwrap().iter().map(name).collect()
}

/// Random values of the schema. `fill` is the chance, in percent, that an optional member is there.
struct Maker {
    schema: Value,
    rng: Rng,
    fill: u32,
    depth: u32,
}

impl Maker {
    fn new(seed: u64, fill: u32) -> Self {
        Self { schema: schema(), rng: Rng::with_seed(seed), fill, depth: 0 }
    }

    fn named(&mut self, def: &str) -> Value {
        let def = self.schema["$defs"][def].clone();
        self.value(&def)
    }

    fn value(&mut self, of: &Value) -> Value {
        if let Some(target) = of["$ref"].as_str() {
            return self.named(target.rsplit('/').next().unwrap());
        }
        if of.get("properties").is_none()
            && let Some(branches) = of["oneOf"].as_array()
        {
            let branch = branches[self.rng.usize(..branches.len())].clone();
            return self.value(&branch);
        }
        if let Some(constant) = of.get("const") {
            return constant.clone();
        }
        if let Some(words) = of["enum"].as_array() {
            return words[self.rng.usize(..words.len())].clone();
        }
        match of["type"].as_str().unwrap() {
            "boolean" => json!(self.rng.bool()),
            "integer" => self.integer(of["minimum"].as_i64().unwrap(), of["maximum"].as_i64().unwrap()),
            "string" => self.string(of),
            "array" => self.array(of),
            "object" => self.object(of),
            other => panic!("no maker for {other}"),
        }
    }

    fn integer(&mut self, least: i64, most: i64) -> Value {
        match self.rng.u8(..3) {
            0 => json!(least),
            1 => json!(most),
            _ => json!(self.rng.i64(least..=most)),
        }
    }

    fn string(&mut self, of: &Value) -> Value {
        let hex = |rng: &mut Rng, n: usize| (0..n).map(|_| char::from(b"0123456789abcdef"[rng.usize(..16)])).collect();
        match of["pattern"].as_str() {
            Some(pattern) if pattern.contains("{64}") => json!(hex(&mut self.rng, 64) as String),
            Some(pattern) if pattern.contains("{8}") => {
                let parts: Vec<String> = [8, 4, 4, 4, 12].iter().map(|n| hex(&mut self.rng, *n)).collect();
                json!(parts.join("-"))
            }
            Some(_) => json!((0..self.rng.usize(1..=64)).map(|_| self.rng.alphanumeric()).collect::<String>()),
            None => {
                let most =
                    of["maxLength"].as_u64().unwrap_or(64).min(if self.rng.u8(..20) == 0 { u64::MAX } else { 64 });
                let n = if self.rng.bool() { most } else { self.rng.u64(..=most) };
                json!((0..n).map(|_| self.rng.char(..)).collect::<String>())
            }
        }
    }

    fn array(&mut self, of: &Value) -> Value {
        let most = of["maxItems"].as_u64().unwrap_or(3);
        let n = if self.depth > 3 {
            0
        } else if self.rng.u8(..10) == 0 {
            most
        } else {
            self.rng.u64(..=most.min(3))
        };
        (0..n).map(|_| self.value(&of["items"])).collect()
    }

    fn object(&mut self, of: &Value) -> Value {
        self.depth += 1;
        let required: Vec<&str> =
            of["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let mut made = Map::new();
        for (name, property) in of["properties"].as_object().unwrap() {
            if required.contains(&name.as_str()) || self.rng.u32(..100) < self.fill {
                made.insert(name.clone(), self.value(property));
            }
        }
        if let Some(branches) = of["oneOf"].as_array() {
            let chosen = self.rng.usize(..branches.len());
            for (nth, branch) in branches.iter().enumerate() {
                let name = branch["required"][0].as_str().unwrap();
                if nth == chosen {
                    made.insert(name.to_owned(), self.value(&of["properties"][name]));
                } else {
                    made.remove(name);
                }
            }
        }
        self.depth -= 1;
        Value::Object(made)
    }
}

#[test]
fn every_client_frame_of_the_schema_is_read_and_written_without_change() {
    let strict = validator("client_frame");
    for kind in kinds("client_frame") {
        for (fill, rounds) in [(100, 20), (0, 5), (50, 40)] {
            let mut maker = Maker::new(u64::from(fill), fill);
            for _ in 0..rounds {
                let made = maker.named(&kind);
                let frame = decode_client(&made.to_string()).unwrap_or_else(|e| panic!("{kind}: {e}: {made}"));
                let written = serde_json::from_str::<Value>(&encode(&frame)).unwrap();
                assert_eq!(written, made, "{kind}");
                assert!(strict.is_valid(&written), "{kind}: {written}");
                assert_eq!(frame.request(), made["id"].as_u64(), "{kind}");
                assert_eq!(decode_client(&encode(&frame)).unwrap(), frame);
            }
        }
    }
}

#[test]
fn every_hub_frame_of_the_schema_is_read_and_written_without_change() {
    let strict = validator("server_frame");
    for kind in kinds("server_frame") {
        for (fill, rounds) in [(100, 5), (0, 5), (50, 20)] {
            let mut maker = Maker::new(u64::from(fill), fill);
            for _ in 0..rounds {
                let made = maker.named(&kind);
                let frame = decode_server(&made.to_string()).unwrap_or_else(|e| panic!("{kind}: {e}: {made}"));
                assert!(!matches!(frame, ServerFrame::Unknown(_)), "{kind} is not known");
                let written = serde_json::from_str::<Value>(&encode(&frame)).unwrap();
                assert_eq!(written, made, "{kind}");
                assert!(strict.is_valid(&written), "{kind}: {written}");
                assert_eq!(decode_server(&encode(&frame)).unwrap(), frame);
            }
        }
    }
}

#[test]
fn every_event_of_the_schema_is_known() {
    for kind in kinds("event") {
        let mut maker = Maker::new(7, 60);
        for _ in 0..20 {
            let made = maker.named(&kind);
            let event: Event = serde_json::from_value(made.clone()).unwrap();
            assert!(!matches!(event, Event::Unknown(_)), "{kind} is not known");
            assert_eq!(serde_json::to_value(&event).unwrap(), made, "{kind}");
        }
    }
}

/// Changes one leaf so that it is probably out of bounds.
fn spoil(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Object(members) => {
            let names: Vec<String> = members.keys().filter(|name| *name != "t").cloned().collect();
            let Some(name) = rng.choice(names) else { return };
            match rng.u8(..6) {
                0 => drop(members.remove(&name)),
                _ => spoil(&mut members[&name], rng),
            }
        }
        Value::Array(items) if !items.is_empty() && rng.bool() => {
            let nth = rng.usize(..items.len());
            spoil(&mut items[nth], rng);
        }
        Value::Array(items) => *items = vec![json!(1); 201],
        Value::Number(_) => {
            *value = rng.choice([json!(-2), json!(0), json!(1u64 << 53), json!("1"), json!(5000)]).unwrap()
        }
        Value::String(_) => {
            *value = rng.choice([json!("é".repeat(70_000)), json!("not ok"), json!(""), json!(1)]).unwrap()
        }
        _ => *value = json!("true"),
    }
}

#[test]
fn a_client_frame_out_of_bounds_is_refused_exactly_when_the_schema_refuses_it() {
    let schema = validator("client_frame");
    let (mut refused, mut taken) = (0, 0);
    for (nth, kind) in kinds("client_frame").iter().enumerate() {
        let mut maker = Maker::new(nth as u64, 60);
        let mut rng = Rng::with_seed(nth as u64);
        for _ in 0..200 {
            let mut made = maker.named(kind);
            spoil(&mut made, &mut rng);
            let read = decode_client(&made.to_string());
            assert_eq!(read.is_ok(), schema.is_valid(&made), "{kind}: {:?}: {:.300}", read.err(), made.to_string());
            if schema.is_valid(&made) { taken += 1 } else { refused += 1 }
        }
    }
    assert!(refused > 500 && taken > 100, "the test tests something: {refused} refused, {taken} taken");
}

#[test]
fn unknown_members_are_ignored_and_unknown_kinds_are_kept_as_unknown() {
    let ping = decode_client(r#"{"t":"ping","n":3,"later":{"x":[1]}}"#).unwrap();
    assert!(matches!(ping, ClientFrame::Ping(ping) if ping.n == 3));
    assert!(matches!(decode_server(r#"{"t":"poll","id":9}"#).unwrap(), ServerFrame::Unknown(t) if t == "poll"));
    let frame = decode_server(r#"{"t":"ev","prev":1,"cur":2,"evs":[{"k":"poll","q":1}]}"#).unwrap();
    let ServerFrame::Ev(ev) = frame else { panic!("{frame:?}") };
    assert_eq!(ev.evs, [Event::Unknown(json!({"k": "poll", "q": 1}))]);
    let ServerFrame::Err(err) = decode_server(r#"{"t":"err","code":"teapot"}"#).unwrap() else { panic!() };
    assert_eq!(err.code, ErrorCode::Unknown);
}

#[test]
fn what_is_no_frame_is_told_from_an_unknown_frame_and_from_a_bad_one() {
    for text in ["", "null", "[]", "{", "{}", r#"{"t":1}"#, "\u{0}", &"[".repeat(100_000)] {
        assert!(matches!(decode_client(text), Err(Malformed::NotAFrame(_))), "{text:.20}");
        assert!(matches!(decode_server(text), Err(Malformed::NotAFrame(_))), "{text:.20}");
    }
    let unknown = decode_client(r#"{"t":"poll","id":9}"#).unwrap_err();
    assert_eq!(unknown, Malformed::Unknown { t: "poll".into(), id: Some(9) });
    let bad = decode_client(r#"{"t":"mark","id":4,"conv":"a b","read":1}"#).unwrap_err();
    assert!(matches!(bad, Malformed::Invalid { id: Some(4), field: Some("conv"), .. }), "{bad:?}");
}

#[test]
fn a_batch_put_together_from_texts_reads_as_the_same_events() {
    let events: Vec<Value> = (0..3).map(|seed| Maker::new(seed, 50).named("event")).collect();
    let texts: Vec<String> = events.iter().map(Value::to_string).collect();
    let read: Value = serde_json::from_str(&encode_ev(4, 9, &texts)).unwrap();
    assert_eq!(read, json!({"t": "ev", "prev": 4, "cur": 9, "evs": events}));
    assert_eq!(encode_ev::<&str>(1, 2, &[]), r#"{"t":"ev","prev":1,"cur":2,"evs":[]}"#);
}

#[test]
fn a_token_never_shows_in_debug_output() {
    let hello = decode_client(r#"{"t":"hello","app":"x","token":"very-secret"}"#).unwrap();
    assert!(!format!("{hello:?}").contains("very-secret"));
    assert!(encode(&hello).contains("very-secret"));
}
