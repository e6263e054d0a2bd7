//! The devices command, and how a missing GPU is said.

use crate::place;

use place::{Place, stderr, stdout};
use std::process::Output;

const STARS: &str = "user,item,rating\nann,x,4\nann,y,2\nbob,x,3\nbob,y,1\ncid,y,4\n";

#[test]
fn every_adapter_is_listed_with_its_limits() {
    let place = Place::new();
    let devices = place.json("devices --json");
    let text = place.ok("devices");
    for adapter in devices["adapters"].as_array().unwrap() {
        for key in ["name", "kind", "api", "driver"] {
            let value = adapter[key].as_str().unwrap();
            assert!(!value.is_empty() && text.contains(value), "{key} {value:?} is not in {text}");
        }
        // What WebGPU promises everywhere.
        for (key, least) in [
            ("max_binding_bytes", 128 << 20),
            ("max_buffer_bytes", 256 << 20),
            ("max_workgroups", 65535),
            ("max_workgroup_bytes", 16 << 10),
            ("max_invocations", 256),
        ] {
            assert!(adapter[key].as_u64().unwrap() >= least, "{key} of {adapter}");
        }
    }
    assert!(text.contains(devices["cpu"].as_str().unwrap()), "{text}");
    let why = devices["why"].as_str().unwrap();
    assert_eq!(text.lines().last(), Some(format!("--backend auto takes {why}").as_str()));
}

#[test]
fn auto_takes_what_devices_says() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    let devices = place.json("devices --json");
    let output = place.run("train stars.csv --model m --epochs 1");
    assert!(output.status.success(), "{}", stderr(&output));
    let record = place.record("m");
    assert_eq!(record["backend"], devices["auto"]);
    let device = record["device"].as_str().unwrap();
    match devices["auto_adapter"].as_str() {
        Some(adapter) => assert!(device.contains(adapter), "{device}"),
        None => assert_eq!(device, devices["cpu"]),
    }
    // The choice is told in one line, with the reason.
    let talk = stderr(&output);
    let lines: Vec<&str> = talk.lines().filter(|line| line.starts_with("device: ")).collect();
    assert_eq!(lines.len(), 1, "{talk}");
    assert!(lines[0].contains(device) && lines[0].ends_with(')'), "{}", lines[0]);
}

#[test]
fn an_adapter_is_found_by_a_part_of_its_name_in_any_case() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    let devices = place.json("devices --json");
    let name = devices["adapters"][0]["name"].as_str();
    let name = name.unwrap_or_else(|| panic!("no adapter: {devices} (./test.sh installs one)"));
    let part = name.split_whitespace().next().unwrap();
    for part in [part.to_lowercase(), part.to_uppercase(), part[1..].to_owned()] {
        place.ok(&format!("train stars.csv --model m --force --epochs 1 --adapter {part}"));
        let record = place.record("m");
        assert_eq!(record["backend"], "gpu");
        assert!(record["device"].as_str().unwrap().contains(name), "{}", record["device"]);
    }
}

/// Runs with a Vulkan loader that finds no driver.
#[cfg(target_os = "linux")]
fn without_a_driver(place: &Place, line: &str) -> Output {
    let mut command = place.command(line);
    // The newer and the older name of the same setting.
    command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
    command.output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_gpu_the_cpu_does_it_and_a_gpu_asked_for_is_an_error() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    let listed = without_a_driver(&place, "devices --json");
    let devices: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!(devices["adapters"].as_array().unwrap().len(), 0);
    assert_eq!((&devices["auto"], &devices["auto_adapter"]), (&"cpu".into(), &().into()));
    assert!(stderr(&listed).is_empty(), "{}", stderr(&listed));

    let output = without_a_driver(&place, "train stars.csv --model m --epochs 1");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("no Vulkan, Metal or Direct3D 12 adapter"));
    let before = place.tree();
    for flags in ["--backend gpu", "--adapter llvmpipe", "--backend gpu --adapter llvmpipe"] {
        let output = without_a_driver(&place, &format!("train stars.csv --model n {flags}"));
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{flags}: {talk}");
        assert_eq!(talk.matches("error: ").count(), 1, "{flags}: {talk}");
        assert!(talk.contains("no Vulkan, Metal or Direct3D 12 adapter"), "{flags}: {talk}");
        assert!(talk.contains("--backend cpu"), "{flags}: {talk}");
        assert!(place.tree() == before, "{flags} leaves something");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_pipe_is_a_normal_end() {
    let place = Place::new();
    for line in ["devices", "devices --json"] {
        let mut command = place.command(line);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{line}");
    }
}
