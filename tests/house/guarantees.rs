//! Each promise of docs/guarantees.md names tests, and they are there.

use std::path::PathBuf;

/// Sections whose lines promise nothing.
const WITHOUT: [&str; 2] = ["Attacks that are kept", "Not promised"];

/// What stands against the page, whose tests are looked for by `is_test`.
fn objections(page: &str, is_test: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut objections = Vec::new();
    let sections = page.split("\n## ").skip(1);
    for section in sections {
        let (title, lines) = section.split_once('\n').unwrap_or((section, ""));
        let promises: Vec<&str> = lines.split("\n- ").skip(1).collect();
        if !WITHOUT.contains(&title) && promises.is_empty() {
            objections.push(format!("{title}: promises nothing"));
        }
        for promise in promises {
            let quoted = promise.split('`').skip(1).step_by(2);
            let tests: Vec<_> = quoted.filter_map(|text| text.split_once("::")).collect();
            let first = promise.lines().next().unwrap_or_default();
            if tests.is_empty() && !WITHOUT.contains(&title) {
                objections.push(format!("{title}: no test keeps \"{first}\""));
            }
            for (path, name) in tests {
                if !is_test(path, name) {
                    objections.push(format!("there is no test {path}::{name}"));
                }
            }
        }
    }
    objections
}

/// Whether a file has a test of that name.
fn is_test(path: &str, name: &str) -> bool {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let source = std::fs::read_to_string(path).unwrap_or_default();
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let before = source[..at].trim_end().lines().rev();
    before.take_while(|line| line.starts_with("#[")).any(|line| line == "#[test]")
}

#[test]
fn every_promise_is_kept_by_tests_that_are_there() {
    let page =
        std::fs::read_to_string(format!("{}/docs/guarantees.md", env!("CARGO_MANIFEST_DIR")));
    let page = page.unwrap();
    assert_eq!(objections(&page, is_test), Vec::<String>::new());
    assert!(page.matches("::").count() > 40, "few tests are named");
    let known = |_: &str, name: &str| name == "known";
    for (page, says) in [
        ("# T\n\n## A\n\n- Nothing breaks.\n", "no test keeps"),
        ("# T\n\n## A\n\n- Nothing breaks. `tests/x.rs::unknown`\n", "there is no test"),
        ("# T\n\n## A\n\nNothing.\n", "promises nothing"),
    ] {
        let objections = objections(page, known);
        assert!(objections.len() == 1 && objections[0].contains(says), "{page}: {objections:?}");
    }
    let sound = "# T\n\n## A\n\n- Nothing\n  breaks. `t.rs::known`\n\n## Not promised\n\n- All.\n";
    assert_eq!(objections(sound, known), Vec::<String>::new());
}
