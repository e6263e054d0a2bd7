//! What bad input of the sampler gets: one clear error, and nothing written, changed or left behind.

use crate::place;

use place::{Place, stderr, stdout};
use std::fs;

const STARS: &str = "user,item,rating\n\
    ann,x,4\nann,y,2\nann,z,5\nbob,x,3\nbob,v,1\ncid,y,4\ncid,z,2\ncid,w,5\ndan,x,1\ndan,w,3\n\
    eve,y,5\neve,v,2\nfay,z,3\nfay,w,4\nfay,v,1\n";

const TRAIN: &str = "train stars.csv --solver bayes --backend cpu --factors 3 --samples 8 --burn-in 2 --keep 4 \
     --progress none";

#[test]
fn flags_that_make_no_sense_are_refused_before_any_work() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    let train = "train stars.csv --model m";
    for (flags, says) in [
        ("--solver bayes --samples 0", "--samples 0: must be 1 or more"),
        ("--solver bayes --keep 0", "--keep 0: must be 1 or more"),
        ("--solver bayes --chains 0", "--chains 0: must be 1 or more"),
        ("--solver bayes --samples 10 --keep 11", "--keep 11: there are only 10 samples to keep"),
        ("--solver bayes --samples 10 --chains 2 --keep 21", "there are only 20 samples to keep"),
        ("--solver bayes --chains 4 --keep 3", "--keep 3: each of the 4 chains keeps one"),
        ("--solver bayes --epochs 5", "use --samples and --burn-in"),
        ("--solver bayes --reg 0.1", "draws it from the data"),
        ("--solver bayes --learning-rate 0.1", "has no effect with --solver bayes"),
        ("--solver bayes --batch-size 64", "has no effect with --solver bayes"),
        ("--solver bayes --nonnegative", "belongs to --solver als or ials"),
        ("--solver bayes --alpha 2", "belongs to --solver ials"),
        ("--solver bayes --loss logistic", "logistic needs"),
        ("--solver bayes --factors 4 --block 5", "there are only 4 factors"),
        ("--solver bayes --patience 3", "--patience needs held-out ratings"),
        ("--solver bayes --checkpoint-every 0", "--checkpoint-every 0"),
        ("--solver bayes --samples -3", "-3"),
        ("--solver bayes --samples many", "many"),
        ("--solver bayes --sample-precision f64", "f64"),
        ("--solver als --samples 10", "--samples belongs to --solver bayes"),
        ("--solver sgd --burn-in 10", "--burn-in belongs to --solver bayes"),
        ("--chains 2", "--chains belongs to --solver bayes"),
        ("--solver ials --clip", "--clip is for predicted ratings"),
    ] {
        let before = place.tree();
        let output = place.run(&format!("{train} {flags}"));
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{flags}: {talk}");
        assert!(talk.contains(says), "{flags}: {talk} lacks {says}");
        assert!(talk.matches("error:").count() == 1 && stdout(&output).is_empty(), "{talk}");
        assert!(place.tree() == before, "{flags} leaves something");
    }
}

#[test]
fn small_runs_and_data_do() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.write("same.csv", STARS.replace(['2', '3', '4', '5'], "1"));
    place.write("one.csv", "user,item,rating\nann,x,4\n");
    let bayes = "--solver bayes --backend cpu --model m --force --progress none";
    for (line, samples) in [
        ("stars.csv --burn-in 0 --samples 1 --factors 2", 1),
        ("stars.csv --burn-in 0 --samples 3 --chains 5 --factors 2", 15),
        ("stars.csv --burn-in 1 --samples 7 --chains 3 --keep 8 --factors 2", 6),
        ("stars.csv --samples 4 --burn-in 2 --no-bias --factors 2", 4),
        ("stars.csv --samples 4 --burn-in 2 --no-mean --factors 2", 4),
        ("stars.csv --samples 4 --burn-in 2 --factors 40", 4),
        ("same.csv --samples 4 --burn-in 2 --factors 2", 4),
        ("one.csv --samples 4 --burn-in 2 --factors 2", 4),
    ] {
        place.ok(&format!("train {line} {bayes}"));
        assert_eq!(place.record("m")["posterior"]["kept"], samples, "{line}");
        let model = wgmf::model::Model::open(place.path("m")).unwrap();
        let opened = model.open_samples(place.path("m")).unwrap();
        assert_eq!(opened.samples.len(), samples, "{line}");
        place.ok("info m");
    }
}

#[test]
fn numbers_beyond_16_bits_are_said_at_the_first_sample() {
    let place = Place::new();
    let large = STARS.replace(",4\n", ",4e13\n").replace(",1\n", ",-3e13\n");
    place.write("large.csv", large);
    let line = "train large.csv --solver bayes --backend cpu --factors 2 --samples 1000000 \
                --burn-in 1 --keep 1000000 --model m --progress none";
    let output = place.run(&format!("{line} --sample-precision f16"));
    let talk = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(talk.contains("beyond 16 bits; give --sample-precision f32"), "{talk}");
    assert!(!place.path("m").exists());
    // By itself it takes 32.
    let line = line.replace("1000000", "4");
    place.ok(&line);
    assert_eq!(place.record("m")["settings"]["sample_precision"], "f32");
}

#[test]
fn a_damaged_or_foreign_samples_file_is_refused() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.ok(&format!("{TRAIN} --model m"));
    place.unbind("m");
    place.ok(&format!("{TRAIN} --model other --seed 1"));
    place.ok("train stars.csv --solver als --backend cpu --factors 3 --model als --progress none");
    let open = |dir: &str| {
        let model = wgmf::model::Model::open(place.path(dir)).unwrap();
        model.open_samples(place.path(dir)).map(|_| ()).map_err(|e| e.to_string())
    };
    open("m").unwrap();
    let message = open("als").unwrap_err();
    assert!(message.contains("was trained by als") && message.contains("`solver` bayes"));
    let file = "m/samples.safetensors";
    let (good, other) = (place.read(file), place.read("other/samples.safetensors"));
    let refused = |bytes: &[u8], says: &str| {
        place.write(file, bytes);
        let message = open("m").unwrap_err();
        assert!(message.contains("samples.safetensors"), "{message}");
        assert!(message.contains(says), "{message} lacks {says}");
        assert!(message.contains("train it again") || message.contains("safetensors file"));
    };
    for keep in [0, 7, 100, good.len() / 2, good.len() - 1] {
        refused(&good[..keep], "is cut short");
    }
    let longer: Vec<u8> = good.iter().chain(&[0]).copied().collect();
    refused(&longer, "1 bytes too many");
    refused(&other, "holds the samples of another model");
    refused(b"not a file of tensors at all", "safetensors");
    // Numbers that cannot be, tensor by tensor.
    let patched = |name: &str, value: &[u8]| {
        let tensors = safetensors::SafeTensors::deserialize(&good).unwrap();
        let at = tensors.tensor(name).unwrap().data().as_ptr().addr() - good.as_ptr().addr();
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let (single, double) = (f32::NAN.to_le_bytes(), f64::NAN.to_le_bytes());
    let tiny = 1e-320_f64.to_le_bytes();
    let (zero, infinity) = (0.0_f64.to_le_bytes(), f64::INFINITY.to_le_bytes());
    for (name, value, says) in [
        ("user_factors", &[0x00, 0x7e][..], "\"user_factors\" of sample 0 is not finite"),
        ("item_factors", &[0x00, 0x7c], "\"item_factors\" of sample 0 is not finite"),
        ("user_bias", &single, "\"user_bias\" of sample 0 is not finite"),
        ("item_bias", &single, "\"item_bias\" of sample 0 is not finite"),
        ("noise_precision", &double, "\"noise_precision\" of sample 0"),
        ("noise_precision", &zero, "\"noise_precision\" of sample 0"),
        // Its variance would be infinite, and what is printed no number.
        ("noise_precision", &tiny, "\"noise_precision\" of sample 0"),
        ("popularity_of_unknown", &double, "\"popularity_of_unknown\""),
        ("noise_shape", &zero, "\"noise_shape\" of sample 0"),
        ("noise_weights", &single, "\"noise_weights\" of sample 0"),
        ("noise_weights", &(-1.0_f32).to_le_bytes(), "\"noise_weights\" of sample 0"),
        ("popularity", &double, "\"popularity\""),
        ("user_prior_mean", &infinity, "\"user_prior_mean\" of sample 0 is not finite"),
        ("item_prior_slope", &double, "\"item_prior_slope\" of sample 0 is not finite"),
        ("item_prior_precision", &double, "\"item_prior_precision\" of sample 0 is not finite"),
        ("user_prior_precision", &(-1.0_f64).to_le_bytes(), "is not positive definite"),
        ("model_checksum", &[1, 2, 3, 4], "another model"),
    ] {
        refused(&patched(name, value), says);
    }
    // Tensors of another shape, of another type, or none.
    let renamed = |from: &str, to: &str| -> Vec<u8> {
        let size = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&good[8..size]).unwrap();
        assert!(header.contains(from), "{header}");
        let mut header = header.replacen(from, to, 1).trim_end().as_bytes().to_vec();
        header.resize(header.len().next_multiple_of(8), b' ');
        [&(header.len() as u64).to_le_bytes(), &header[..], &good[size..]].concat()
    };
    refused(&renamed("\"shape\":[4,6,3]", "\"shape\":[6,4,3]"), "belongs");
    refused(&renamed("\"shape\":[4,4,4]", "\"shape\":[4,2,8]"), "belongs");
    refused(&renamed("\"user_bias\"", "\"a_bias\""), "has no tensor \"user_bias\"");
    place.write(file, &good);
    open("m").unwrap();
    // Samples of the same file under another model's means.
    place.write("m/model.safetensors", place.read("other/model.safetensors"));
    assert!(open("m").unwrap_err().contains("another model"));
    fs::remove_file(place.path(file)).unwrap();
    assert!(open("m").unwrap_err().contains("samples.safetensors is missing"));
    // Such a model may still be replaced.
    place.ok(&format!("{TRAIN} --model m --force"));
    open("m").unwrap();
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    // Killed within: the checkpoint stays.
    let line = TRAIN.replace("--samples 8", "--samples 100000");
    let mut child =
        place.command(&format!("{line} --model m --checkpoint-every 2")).spawn().unwrap();
    let record = place.path("m.checkpoint/checkpoint.json");
    let clock = std::time::Instant::now();
    while !record.exists() && clock.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(record.exists());
    let resume = format!("{line} --model m --resume");
    for (file, says) in [
        ("checkpoint.safetensors", "cut short"),
        ("checkpoint-chains.safetensors", "cut short"),
        ("checkpoint.json", "is not a checkpoint"),
    ] {
        let name = format!("m.checkpoint/{file}");
        let good = place.read(&name);
        place.write(&name, &good[..good.len() - 9]);
        let output = place.run(&resume);
        assert_eq!(output.status.code(), Some(1));
        let talk = stderr(&output);
        assert!(talk.contains(&name) && talk.contains(says), "{talk}");
        place.write(&name, good);
    }
    let message = stderr(&place.run(&format!("{resume} --init start")));
    assert!(message.contains("--resume goes on from a checkpoint"), "{message}");
}
