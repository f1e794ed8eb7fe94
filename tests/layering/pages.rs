//! Pages that list what the code has must list all of it.

use super::source::read;
use wakeful::ipc::wire::{Call, FaultCode};

fn unlisted<'a>(page: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let listed = |name: &str| page.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    names.into_iter().filter(|name| !listed(name)).collect()
}

#[test]
fn every_method_of_the_local_interface_is_documented() {
    let page = read("docs/ipc.md").unwrap();
    assert_eq!(unlisted(&page, Call::METHODS.iter().copied()), Vec::<&str>::new());
    assert_eq!(unlisted("| `a` | x |", ["a", "b"]), ["b"], "the rule refuses");
}

#[test]
fn every_error_of_the_local_interface_is_documented_with_its_number() {
    let page = read("docs/ipc.md").unwrap();
    let numbers = |line: &str| line.split('|').nth(2).and_then(|cell| cell.trim().parse::<i32>().ok());
    let errors: Vec<(&str, i32)> =
        page.lines().filter_map(|line| Some((line.strip_prefix("| `")?.split('`').next()?, numbers(line)?))).collect();
    assert!(errors.len() >= 18, "{errors:?}");
    for (name, number) in errors {
        let code: FaultCode =
            serde_json::from_value(name.into()).unwrap_or_else(|_| panic!("no error is called {name}"));
        assert_eq!(code.number(), number, "{name}");
    }
}
