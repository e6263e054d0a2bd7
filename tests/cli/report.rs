//! `wgmf report`.

use crate::common::skipped;
use crate::place::{Place, stderr};
use std::collections::BTreeSet;
use std::process::Command;

fn page(place: &Place, name: &str) -> String {
    String::from_utf8(place.read(name)).unwrap()
}

/// What stands between the quotes after each `before`.
fn quoted<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    page.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A page whose figures are there, each with a name and numbers, that asks for nothing from elsewhere.
fn check(page: &str, figures: &[&str]) {
    let drawn = quoted(page, "<figure id=\"");
    assert_eq!(drawn, figures);
    assert_eq!(page.matches("<svg").count(), figures.len());
    assert_eq!(page.matches("<summary>Numbers</summary>").count(), figures.len());
    for part in page.split("<figure").skip(1) {
        let part = part.split("</figure>").next().unwrap();
        assert!(
            part.contains("<td>") && (part.contains("<circle") || part.contains("<rect")),
            "{part}"
        );
        assert!(part.contains("aria-labelledby") && !part.contains("NaN"), "{part}");
    }
    let ids = quoted(page, " id=\"");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for link in quoted(page, "href=\"#") {
        assert!(
            page.contains(&format!("id=\"{link}\"")) || page.contains(&format!("id={link}")),
            "{link}"
        );
    }
    for elsewhere in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn a_page_shows_what_the_other_commands_print() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let fit = "train parts/train.csv --backend cpu --progress none";
    place.ok(&format!("{fit} --solver bayes --factors 3 --samples 12 --burn-in 4 --model a"));
    let titles: String = {
        let text = page(&place, "parts/train.csv");
        let items: BTreeSet<&str> =
            text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
        items.iter().map(|item| format!("{item},<b>{item}</b> & \"more\"\n")).collect()
    };
    place.write("titles.csv", format!("item,title\n{titles}"));
    let report = "report a --backend cpu --titles titles.csv --test parts/test.csv";
    place.ok(&format!("{report} --relevant-from 4 --output page.html"));
    let first = page(&place, "page.html");
    let said = ["Measured on parts/test.csv", "Relevant are test pairs rated 4 or more"];
    assert!(said.iter().all(|said| first.contains(said)));
    check(
        &first,
        &[
            "rows",
            "tail",
            "errors-by-epoch",
            "by-popularity",
            "by-activity",
            "on-average",
            "intervals",
            "recall-by-activity",
        ],
    );
    // Titles are text, nowhere markup.
    assert!(first.contains("&lt;b&gt;") && first.contains("\\u003cb>") && !first.contains("<b>"));
    let own = place.json("evaluate a parts/test.csv --json");
    let rmse = wgmf::core::figure(own["rmse"].as_f64().unwrap(), 4);
    assert!(first.contains(&format!("<th scope=row>this model</th><td>{rmse}</td>")), "{rmse}");
    let lists = place
        .json("evaluate a parts/test.csv --ranking --relevant-from 4 --at 20 --backend cpu --json");
    let recall = wgmf::core::figure(lists["recall@20"].as_f64().unwrap(), 3);
    assert!(first.contains(&format!("<th scope=row>recall@20</th><td>{recall} [")), "{recall}");

    // The same again, to the byte, whatever the threads; an existing file only where that is meant.
    let again = place.run(&format!("{report} --relevant-from 4 --output page.html"));
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    place.ok(&format!("{report} --relevant-from 4 --output page.html --force --threads 1"));
    assert!(page(&place, "page.html") == first);
}

#[test]
fn a_page_has_what_there_is_to_show() {
    let place = Place::with_sample();
    let fit = "train plays.csv --backend cpu --progress none --epochs 3 --factors 2";
    place.ok(&format!("{fit} --solver ials --model lists"));
    place.ok("report lists --backend cpu");
    let made = page(&place, "lists-report.html");
    check(&made, &["rows", "tail", "objective"]);
    assert!(made.contains("Sample lists") && made.contains("Map of the items"));
    // The same beside training, with the ratings that were held out.
    place.ok(&format!("{fit} --solver als --holdout 0.1 --model m --report m.html"));
    let beside = page(&place, "m.html");
    assert!(beside.contains("Error by popularity") && beside.contains("Error while training"));
    let there = place.run(&format!("{fit} --solver als --model other --report m.html"));
    assert_eq!(there.status.code(), Some(1), "{}", stderr(&there));
    assert!(!place.path("other").exists());
    // Nothing but a page is replaced by one, and no model is lost to one that lies inside it.
    let before = place.read("plays.csv");
    for line in ["--model m --force --report plays.csv", "--model new --report new/page.html"] {
        let output = place.run(&format!("{fit} --solver als {line}"));
        assert_ne!(output.status.code(), Some(0), "{line}");
        assert!(stderr(&output).contains("page"), "{}", stderr(&output));
    }
    assert!(place.read("plays.csv") == before && !place.path("new").exists());
    // One factor has one axis, none has no map, and a page all the same.
    place.ok(&format!("{fit} --solver als --factors 0 --model flat").replace("--factors 2 ", ""));
    place.ok("report flat --backend cpu --output flat.html");
    assert!(!page(&place, "flat.html").contains("Map of the items"));

    for (line, wrong) in [
        ("report nowhere", "nowhere"),
        ("report lists --test plays.csv", "trained on every test pair"),
        ("report lists --relevant-from 4", "--test"),
        ("report lists --test plays.csv --relevant-from inf", "--relevant-from"),
        ("report lists --titles plays.csv --output lists", "lists"),
        ("train plays.csv --report - --progress json --model z", "--report - and --progress json"),
    ] {
        let output = place.run(&format!("{line} --backend cpu --force"));
        assert_ne!(output.status.code(), Some(0), "{line}");
        assert!(stderr(&output).contains(wrong), "{line}: {}", stderr(&output));
    }
}

#[test]
fn two_models_share_a_page() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let fit = "train parts/train.csv --backend cpu --progress none --epochs 3";
    place.ok(&format!("{fit} --solver als --factors 3 --model a"));
    place.ok(&format!("{fit} --solver als --factors 0 --model b"));
    place.ok("compare a b parts/test.csv --output errors.html");
    let errors = page(&place, "errors.html");
    check(&errors, &["differences", "by-activity"]);
    let own = place.json("compare a b parts/test.csv --json");
    let difference = own["figures"][1]["difference"].as_f64().unwrap();
    assert!(errors.contains(&format!("<td>{}</td>", wgmf::core::figure(difference, 3))), "{own}");
    place.ok("compare a b parts/test.csv --ranking --at 5 --relevant-from 4 --backend cpu --output lists.html");
    check(&page(&place, "lists.html"), &["differences", "by-activity"]);
    assert_eq!(place.run("compare a b parts/test.csv --output lists.html").status.code(), Some(1));
}

/// What a browser makes of the page: no word on its console, and the map drawn.
#[test]
fn a_browser_shows_the_page() {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    let Some(browser) = browser else {
        return skipped("the report in a browser: there is no Chromium");
    };
    let place = Place::with_sample();
    place.ok("train plays.csv --backend cpu --progress none --epochs 3 --factors 4 --solver als --model m");
    place.ok("report m --backend cpu --output page.html");
    // A window of Chromium's is 500 wide at least.
    for width in [500, 1280] {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
            .args(["--virtual-time-budget=2000", "--dump-dom"])
            .arg(format!("--window-size={width},900"))
            .arg(format!("--user-data-dir={}", place.path("browser").display()))
            .arg(format!("file://{}", place.path("page.html").display()))
            .output()
            .unwrap();
        let told = stderr(&output);
        assert!(output.status.success(), "{told}");
        assert!(!told.contains("CONSOLE"), "{told}");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let canvas = shown.split("<canvas").nth(1).unwrap().split('>').next().unwrap();
        let drawn: u32 = quoted(canvas, " width=\"")[0].parse().unwrap();
        assert!(drawn > 200 && drawn <= width, "{canvas}");
    }
}
