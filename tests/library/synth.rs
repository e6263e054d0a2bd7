//! Planted sets: the same for any number of threads, exact in number, with a true noise floor.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use wgmf::data::synth::{Scale, SynthOptions, planted, synth};
use wgmf::data::{ReadOptions, read};

fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn small() -> SynthOptions {
    SynthOptions { users: 900, items: 400, ratings: 150_000, ..SynthOptions::default() }
}

#[test]
fn text_and_memory_agree_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    for scale in [Scale::Real, Scale::Stars, Scale::HalfStars, Scale::Plays] {
        let options = SynthOptions { scale, ..small() };
        let (want, facts) = planted(&options).unwrap();
        assert_eq!(want.len(), 150_000);
        for threads in 1..=4 {
            let path = dir.path().join("synth.csv");
            let written = in_threads(threads, || synth(&options, &path, true, &())).unwrap();
            assert_eq!(written, facts, "{threads} threads");
            let table = read(&[path], &ReadOptions::default(), &()).unwrap();
            assert_eq!(table.ratings.values, want.values);
            let id = |ids: &wgmf::core::Ids, i: u32| ids.name(i).parse::<u32>().unwrap() - 1;
            let users: Vec<u32> =
                table.ratings.users.iter().map(|&u| id(&table.users, u)).collect();
            let items: Vec<u32> =
                table.ratings.items.iter().map(|&i| id(&table.items, i)).collect();
            assert!(users == want.users && items == want.items, "{threads} threads");
        }
    }
}

#[test]
fn no_pair_twice_no_user_without_and_some_more_popular() {
    let cases = [(900, 400, 150_000), (50, 20, 1_000), (10, 10, 10), (300, 7, 2_000), (1, 1, 1)];
    for (users, items, ratings) in cases {
        let options = SynthOptions { users, items, ratings, ..SynthOptions::default() };
        let (set, facts) = planted(&options).unwrap();
        let pairs: HashSet<(u32, u32)> = set.iter().map(|(u, i, _)| (u, i)).collect();
        assert_eq!((pairs.len() as u64, set.len() as u64), (ratings, ratings));
        let seen: HashSet<u32> = set.users.iter().copied().collect();
        assert_eq!((seen.len() as u32, facts.users), (users, users));
        let seen: HashSet<u32> = set.items.iter().copied().collect();
        assert_eq!(seen.len() as u32, facts.items);
    }
    let (set, _) = planted(&small()).unwrap();
    let mut counts = vec![0_u32; 400];
    set.items.iter().for_each(|&item| counts[item as usize] += 1);
    counts.sort_unstable();
    assert!(counts[399] > 4 * counts[0], "{} and {}", counts[399], counts[0]);
    // Lines are not sorted by user.
    let rises = set.users.windows(2).filter(|pair| pair[0] <= pair[1]).count();
    assert!(rises < 2 * set.len() / 3, "{rises}");
}

#[test]
fn the_floor_is_the_noise() {
    for noise in [0.0, 0.3, 0.8] {
        let (_, facts) = planted(&SynthOptions { noise, ..small() }).unwrap();
        // Hundredths add rounding of deviation 0.01/sqrt(12).
        let want = (noise * noise + 1e-4 / 12.0_f64).sqrt();
        assert!((facts.floor_rmse / want - 1.0).abs() < 0.02, "{noise}: {}", facts.floor_rmse);
        let spread = (2.0 * 0.35_f64.powi(2) + 0.36 + noise * noise).sqrt();
        assert!((facts.std / spread - 1.0).abs() < 0.1, "{noise}: {}", facts.std);
    }
    let (_, stars) = planted(&SynthOptions { scale: Scale::Stars, ..small() }).unwrap();
    assert!(stars.floor_rmse > 0.7 && stars.floor_rmse < 0.85, "{}", stars.floor_rmse);
    let (_, plays) = planted(&SynthOptions { scale: Scale::Plays, ..small() }).unwrap();
    let floor = plays.floor_rmse_log1p.unwrap();
    assert!(floor > 0.7 && floor < 0.8 && plays.floor_rmse > 10.0, "{plays:?}");
}

#[test]
fn the_sample_is_what_its_command_writes() {
    let options = SynthOptions {
        users: 1_000,
        items: 1_500,
        ratings: 100_000,
        scale: Scale::HalfStars,
        names: true,
        header: true,
        ..SynthOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plays.csv");
    synth(&options, &path, false, &()).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/plays.csv");
    let (made, kept) = (std::fs::read(&path).unwrap(), std::fs::read(&sample).unwrap());
    assert!(made == kept, "sample/plays.csv is not what wgmf synth writes");
    assert!(kept.len() < 2_000_000);
    let table = read(&[sample], &ReadOptions::default(), &()).unwrap();
    assert_eq!(
        (table.ratings.len(), table.users.len(), table.items.len()),
        (100_000, 1_000, 1_500)
    );
    assert!(table.recognised[0].contains("header, columns listener,artist,rating"));
}

#[test]
fn bad_sizes_and_full_places_are_refused() {
    let cases: [(SynthOptions, &str); 5] = [
        (SynthOptions { users: 0, ..small() }, "`users` and `items` must be at least 1"),
        (SynthOptions { ratings: 5, ..small() }, "`ratings` 5 are too few for 900 users"),
        (SynthOptions { ratings: 360_001, ..small() }, "`ratings` 360001 are more than the 360000"),
        (SynthOptions { noise: f64::NAN, ..small() }, "`noise` must be a number"),
        (SynthOptions { zipf_items: -1.0, ..small() }, "`zipf_items` must be from 0"),
    ];
    for (options, want) in cases {
        let error = planted(&options).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.csv.zst");
    synth(&small(), &path, false, &()).unwrap();
    let error = synth(&small(), &path, false, &()).unwrap_err().to_string();
    assert!(error.contains("exists already; use `force`"), "{error}");
    let table = read(&[path], &ReadOptions::default(), &()).unwrap();
    assert_eq!(table.ratings.len(), 150_000);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    synth(&small(), &dir.path().join("new/set.csv"), false, &()).unwrap();
    let error = synth(&small(), &dir.path().join("set.csv.zst/set.csv"), false, &()).unwrap_err();
    assert!(error.to_string().contains("set.csv.zst"), "{error}");
}

#[test]
fn the_command_streams_to_standard_output() {
    let out = Command::new(env!("CARGO_BIN_EXE_wgmf"))
        .args(["synth", "--users", "20", "--items", "30", "--ratings", "100", "--header"])
        .args(["--output", "-"])
        .output()
        .unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 101);
    assert!(text.starts_with("user,item,rating\n"));
    assert!(String::from_utf8_lossy(&out.stderr).contains("noise floor: RMSE "));
}
