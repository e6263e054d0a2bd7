//! Times as files have them: numbers of any unit, with decimals or without, and ISO dates; what cannot be
//! read is an error where it matters, and is said where it does not.

use crate::place;
use place::{Place, stderr};

/// `split --leave-last 1`: the items that are tested, in order of the file.
fn last(place: &Place, flags: &str) -> Vec<String> {
    place.ok(&format!("split in.csv --leave-last 1 --output out --force {flags}"));
    let text = String::from_utf8(place.read("out/test.csv")).unwrap();
    let item = |line: &str| line.split(',').nth(1).unwrap().trim_matches('"').to_owned();
    text.lines().skip(1).map(item).collect()
}

#[test]
fn the_last_rating_is_told_by_its_time_whatever_it_is_written_in() {
    let place = Place::new();
    // The latest of three first, then two in order.
    let cases: [(&str, [&str; 3]); 14] = [
        ("seconds", ["964982703", "964981247", "964981248"]),
        ("milliseconds", ["1609459200001", "1609459200000", "1609459199999"]),
        ("nanoseconds", ["1577836800123456789", "1577836800123456788", "1577836800123456787"]),
        ("days", ["44197.9", "44197.2", "44197.1"]),
        ("microseconds", ["1577836800.000002", "1577836800.000001", "1577836800"]),
        ("before 1970", ["-1", "-1.5", "-200"]),
        ("with exponents", ["1.5e9", "1.4e9", "1e9"]),
        ("dates", ["2021-03-03", "2021-03-02", "2021-03-01"]),
        ("dates with slashes", ["2021/03/03", "2021/03/02", "2021/03/01"]),
        ("date-times", ["2021-03-03 10:00:00", "2021-03-03 09:59:59", "2021-03-01 23:00"]),
        ("in UTC", ["2021-03-03T10:00:00Z", "2021-03-03T09:00:00.5Z", "2021-03-03T09:00:00Z"]),
        (
            "of zones",
            ["2021-03-03T10:00:00-05:00", "2021-03-03T14:00:00Z", "2021-03-03T18:00:00+09:00"],
        ),
        ("with UTC in words", ["2021-03-03 10:00:00 UTC", "2021-03-03 09:00:00 UTC", "2021-03-02"]),
        ("before 1970 in words", ["1969-12-31T23:59:59.9", "1969-12-31T23:59:59.1", "1960-01-01"]),
    ];
    for (kind, times) in cases {
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut text = String::from("user,item,rating,timestamp\n");
            for at in order {
                text += &format!("ann,i{at},{at},{}\n", times[at]);
            }
            place.write("in.csv", text);
            assert_eq!(last(&place, ""), ["i0"], "{kind}, {order:?}");
        }
    }
    // Of equal times it is not the file that decides.
    for text in ["ann,x,1,5\nann,y,2,5\n", "ann,y,2,5\nann,x,1,5\n"] {
        place.write("in.csv", format!("user,item,rating,timestamp\n{text}"));
        assert_eq!(last(&place, ""), ["y"]);
    }
    // Left out, they do not count.
    place.write("in.csv", "user,item,rating,timestamp\nann,x,1,9\nann,y,2,5\n");
    assert_eq!(last(&place, ""), ["x"]);
    assert_eq!(last(&place, "--columns user,item,rating"), ["y"]);
}

#[test]
fn a_time_that_cannot_be_read_is_an_error_where_it_matters_and_said_where_not() {
    let place = Place::new();
    let rows = "ann,1,5,300\nann,2,4,\nann,3,3,100\nbob,1,2,50\nbob,2,2,40\n";
    let header = "user,item,rating,timestamp\n";
    let cases = [
        (
            rows.to_owned(),
            "in.csv:3: the timestamp is empty",
            "1 of 5 timestamps cannot be read (line 3: ",
        ),
        (
            rows.replace("2,4,", "2,4,soon"),
            "in.csv:3: the timestamp \"soon\" is not a time (a number, or a date",
            "1 of 5 timestamps cannot be read (line 3: \"soon\" in column timestamp)",
        ),
        (
            rows.replace("300", "964982703").replace("2,4,", "2,4,964982703000"),
            "in.csv:3: some timestamps look like seconds and some like milliseconds",
            "some timestamps look like seconds and some like milliseconds (line 3)",
        ),
        (
            rows.replace("2,4,", "2,4,03/02/2021"),
            "in.csv:3: the timestamp \"03/02/2021\" is not a time",
            "(line 3: \"03/02/2021\" in",
        ),
        (
            rows.replace("2,4,", "2,4,2021-03-03"),
            "in.csv:3: some timestamps are numbers and some are dates",
            "5 ratings\n",
        ),
    ];
    for (rows, error, said) in cases {
        place.write("in.csv", format!("{header}{rows}"));
        for way in ["--leave-last 1", "--by-time 0.4"] {
            let output = place.run(&format!("split in.csv {way} --output out"));
            assert_eq!(output.status.code(), Some(1), "{way}");
            let message = stderr(&output);
            assert!(message.contains(error), "{way}: {message}");
            assert!(!place.path("out").exists());
        }
        let output = place.run("train in.csv --factors 1 --epochs 1 --model m --force");
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        place.ok("split in.csv --holdout 0.4 --output random --force");
        // Of a pair that comes twice the time matters, of others it does not.
        place.write("in.csv", format!("{header}{rows}bob,2,1,60\n"));
        let run = "train in.csv --factors 1 --epochs 1 --model m --force";
        let output = place.run(run);
        assert_eq!(
            output.status.success(),
            !error.contains("some timestamps"),
            "{}",
            stderr(&output)
        );
        place.write("in.csv", format!("{header}{rows}ann,2,1,60\n"));
        assert!(stderr(&place.run(run)).contains(error), "{error}");
        place.ok(&format!("{run} --duplicates mean"));
        place.ok(&format!("{run} --columns user,item,rating"));
    }
    // One of two files has no times.
    place.write("in.csv", format!("{header}ann,1,5,300\nann,2,4,200\n"));
    place.write("none.csv", "user,item,rating\nbob,1,5\n");
    let message = stderr(&place.run("split in.csv none.csv --leave-last 1 --output out"));
    assert!(message.contains("is comma-separated"), "{message}");
    let output = place.run("train in.csv none.csv --factors 1 --epochs 1 --model m --force");
    assert!(
        stderr(&output).contains("no timestamps, though other files have them"),
        "{}",
        stderr(&output)
    );
    place.write("none.csv", "user,item,rating\nann,1,5\n");
    let output = place.run("train in.csv none.csv --factors 1 --epochs 1 --model m --force");
    assert!(stderr(&output).contains("none.csv:2: there is no timestamp"), "{}", stderr(&output));
}

#[test]
fn equal_times_stay_on_one_side_of_a_border_that_is_said() {
    let place = Place::new();
    let write = |times: &[&str]| {
        let mut text = String::from("user,item,rating,date\n");
        for (at, time) in times.iter().enumerate() {
            text += &format!("u{},i{at},3,{time}\n", at % 3);
        }
        place.write("in.csv", text);
    };
    let split = |fraction: &str| {
        let line = format!("split in.csv --by-time {fraction} --output out --force");
        let facts = place.json(&format!("{line} --json"));
        let said = stderr(&place.run(&line));
        let border = facts["border"].as_str().unwrap().to_owned();
        assert!(
            said.contains(&format!("the test part has the ratings from {border} on")),
            "{said}"
        );
        (border, facts["parts"][0]["test_ratings"].as_u64().unwrap())
    };
    write(&["1", "2", "2", "2", "2", "2", "2", "2", "3", "4.5"]);
    assert_eq!(split("0.1"), ("4.5".into(), 1));
    assert_eq!(split("0.2"), ("3".into(), 2));
    assert_eq!(split("0.4"), ("3".into(), 2), "two are nearer to four than nine");
    assert_eq!(split("0.8"), ("2".into(), 9));
    write(&["2021-03-02", "2021-03-01", "2021-03-02", "2021-03-02"]);
    assert_eq!(split("0.25"), ("2021-03-02T00:00:00Z".into(), 3));
    write(&["7", "7", "7", "7"]);
    let message = stderr(&place.run("split in.csv --by-time 0.5 --output out --force"));
    assert!(message.contains("all 4 ratings are of one time (7)"), "{message}");
}
