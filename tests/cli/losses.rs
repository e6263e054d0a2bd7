//! Losses made for ranking, on the command line.

use crate::place::{Place, stderr};
use serde_json::Value;

const LOSSES: [&str; 4] = ["softmax", "ccl", "bpr", "warp"];

/// 300 users of three tastes, 40 items each, who choose among the items of theirs.
fn chosen(place: &Place) {
    let mut lines = String::from("user,item\n");
    for user in 0..300_u32 {
        for n in 0..12_u32 {
            let scattered = (user * 7919 + n * 104_729).wrapping_mul(2_654_435_761) >> 16;
            let item = user % 3 * 40 + (scattered % 40) * (scattered / 64 % 40) / 40;
            lines += &format!("u{user},i{item}\n");
        }
    }
    place.write("chosen.csv", lines);
}

#[test]
fn every_loss_learns_what_is_chosen_without_settings() {
    let place = Place::new();
    chosen(&place);
    for loss in LOSSES {
        let line = format!(
            "train chosen.csv --loss {loss} --factors 16 --holdout 0.2 --seed 3 --backend cpu \
             --batch-size 256 --learning-rate 0.02 --epochs 15"
        );
        let output = place.run(&format!("{line} --model {loss}"));
        let talk = stderr(&output);
        assert!(output.status.success(), "{talk}");
        assert!(talk.contains(&format!("{loss} of")) && talk.contains("recall@20"), "{talk}");
        let record = place.record(loss);
        assert_eq!(record["settings"]["solver"], "adam");
        let history = record["history"].as_array().unwrap();
        let figure = |at: usize, key: &str| history[at][key].as_f64().unwrap();
        assert!(figure(14, "train_error") < figure(0, "train_error"), "{loss}");
        // By chance 20 of 120 items hold a sixth of anyone's, 20 of the 40 of his taste half.
        let recall = figure(14, "recall@20");
        assert!(recall > 0.4, "{loss}: {recall}");
        place.ok(&format!("{line} --model again --force"));
        assert!(place.tensors(loss) == place.tensors("again"), "{loss}");
    }
}

#[test]
fn threads_change_no_bit() {
    let place = Place::new();
    chosen(&place);
    for (loss, flags) in [
        ("softmax", "--negatives all --dropout 0.2"),
        ("softmax", "--cut-off 5 --negative-exponent 0.5"),
        ("ccl", "--negatives batch+30"),
        ("bpr", "--bias"),
        ("warp", ""),
    ] {
        let line = format!(
            "train chosen.csv --loss {loss} {flags} --factors 24 --epochs 2 --batch-size 500 --backend cpu \
             --force"
        );
        place.ok(&format!("{line} --threads 1 --model one"));
        for threads in 2..=3 {
            place.ok(&format!("{line} --threads {threads} --model more"));
            assert!(place.tensors("one") == place.tensors("more"), "{loss} {flags}: {threads}");
        }
    }
}

#[test]
fn a_checkpoint_of_a_ranking_loss_goes_on_to_the_same_bits() {
    let place = Place::new();
    chosen(&place);
    let line =
        "train chosen.csv --loss softmax --factors 8 --holdout 0.1 --cut-off 10 --backend cpu";
    let mut child = place
        .command(&format!(
            "{line} --epochs 100000 --checkpoint-every 3 --model part --progress none"
        ))
        .spawn()
        .unwrap();
    while !place.path("part.checkpoint/checkpoint.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before its checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = place.read("part.checkpoint/checkpoint.json");
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let done = checkpoint["history"].as_array().unwrap().len();
    place.ok(&format!("{line} --epochs {} --model part --resume", done + 2));
    place.ok(&format!("{line} --epochs {} --model whole", done + 2));
    assert!(place.tensors("part") == place.tensors("whole"));
}

#[test]
fn what_scores_is_said_and_rows_of_cosines_have_length_one() {
    let place = Place::new();
    chosen(&place);
    place.ok("train chosen.csv --loss softmax --factors 8 --epochs 5 --backend cpu --model m");
    let model = wgmf::model::Model::open(place.path("m")).unwrap();
    for side in wgmf::core::Side::BOTH {
        for row in model.factors[side].factors.chunks(8) {
            let length: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-5, "{length}");
        }
    }
    let list = place.ok("recommend m --users u5 -n 3 --backend cpu");
    assert!(list.starts_with("user,rank,item,score\n") || list.contains("score"), "{list}");
    let info = place.ok("info m");
    assert!(info.contains("softmax loss") && info.contains("temperature"), "{info}");
    place.write("pairs.csv", "user,item\nu1,i41\nu1,i2\nnobody,i3\n");
    let output = place.run("predict m pairs.csv");
    assert!(output.status.success() && stderr(&output).contains("score"), "{}", stderr(&output));
    let lists = place.ok("evaluate m chosen.csv --ranking --include-seen --at 10 --backend cpu");
    assert!(lists.contains("recall@10"), "{lists}");
    let refused = place.run("evaluate m chosen.csv --backend cpu");
    assert!(
        !refused.status.success() && stderr(&refused).contains("--ranking"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn users_are_folded_in_alone_or_with_others_and_items_are_not() {
    let place = Place::new();
    chosen(&place);
    for loss in LOSSES {
        place.ok(&format!(
            "train chosen.csv --loss {loss} --factors 16 --epochs 25 --batch-size 256 --learning-rate 0.02 \
             --backend cpu --model m --force"
        ));
        // Of the second taste, and of the third.
        // Others come before and after.
        let others = "a,i1\na,i3\na,i7\na,i9\nx,i41\nx,i45\nx,i50\ny,i81\ny,i90\ny,i84\n";
        place.write("two.csv", format!("user,item\n{others}"));
        place.write("one.csv", "user,item\nx,i41\nx,i45\nx,i50\n");
        place.ok("fold-in m two.csv --output both --force --backend cpu");
        place.ok("fold-in m one.csv --output alone --force --backend cpu");
        let open = |name: &str| wgmf::model::Model::open(place.path(name)).unwrap();
        let (both, alone) = (open("both"), open("alone"));
        let row = |model: &wgmf::model::Model| {
            let at = model.users.get("x").unwrap();
            model.factors.user(at).to_vec()
        };
        assert_eq!(row(&both), row(&alone), "{loss}");
        let list = place.ok("recommend both --users x -n 10 --backend cpu");
        let own = (40..80).filter(|item| list.contains(&format!(",i{item},"))).count();
        // A third of them by chance.
        let least = if loss == "softmax" { 7 } else { 5 };
        assert!(own >= least, "{loss}: {list}");
    }
    place.write("item.csv", "user,item\nu1,new\nu2,new\n");
    let output = place.run("fold-in m item.csv --items --output grown");
    assert!(!output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_does_not_go_with_a_ranking_loss_is_refused() {
    let place = Place::new();
    chosen(&place);
    place.write("zero.csv", "user,item,rating\na,x,1\na,y,0\nb,x,1\n");
    for (flags, said) in [
        ("--loss softmax --clip", "--clip"),
        ("--loss softmax --no-bias", "--no-bias"),
        ("--loss softmax --bias", "--score inner"),
        ("--loss softmax --tries 3", "--tries belongs to --loss bpr or warp"),
        ("--loss bpr --temperature 0.1", "--temperature belongs to --loss softmax"),
        ("--loss squared --negatives 5", "--negatives belongs to"),
        ("--temperature 0.1", "--temperature belongs to"),
        ("--loss softmax --solver als", "needs sgd, adagrad or adam"),
        ("--loss softmax --temperature 0", "--temperature 0"),
        ("--loss softmax --negatives 0", "--negatives 0"),
        ("--loss softmax --negatives some", "a number, batch, batch+ and a number, or all"),
        ("--loss softmax --negatives batch+0", "--negatives 0"),
        ("--loss softmax --negatives all --negative-exponent 1", "--negative-exponent says"),
        ("--loss softmax --negatives batch+x", "batch+x"),
        ("--loss warp --dropout 1", "--dropout 1"),
        ("--loss ccl --damping 1", "--damping"),
        ("--loss softmax --factors 0", "--factors 0"),
        ("--loss softmax --cut-off 0", "--cut-off 0"),
        ("--loss softmax --cut-off 5000", "--cut-off 5000: lists have"),
        ("--loss bpr --tries 0", "--tries 0"),
        ("--loss warp --tries 5000", "--tries 5000: must be 1 to 4096"),
        ("--loss warp --margin=-1", "--margin -1"),
        ("--loss softmax --transform log1p", "--transform has no effect with --loss softmax"),
        ("--loss bpr --solver sgd", "leave --solver out"),
        ("--loss softmax --batch-size 0", "--batch-size 0"),
    ] {
        let output = place.run(&format!("train chosen.csv {flags} --model m"));
        let talk = stderr(&output);
        assert!(!output.status.success() && talk.contains(said), "{flags}: {talk}");
        assert!(!place.path("m").exists());
    }
    let hidden = "train stars.csv --loss bpr --factors 2 --epochs 1 --backend cpu --model m";
    place.write("stars.csv", "user,item,rating\na,x,1\na,y,5\nb,x,3\nb,z,3\nc,x,4\n");
    let talk = stderr(&place.run(hidden));
    assert!(
        talk.contains("ratings from 1 to 5 count alike") && talk.contains("--min-rating"),
        "{talk}"
    );
    for (asked, said) in [
        ("predict m stars.csv --clip", "--clip bounds predicted ratings"),
        ("evaluate m stars.csv --baselines", "scores of a loss made for ranking"),
    ] {
        let output = place.run(asked);
        assert!(
            output.status.code() == Some(2) && stderr(&output).contains(said),
            "{asked}: {}",
            stderr(&output)
        );
    }
    std::fs::remove_dir_all(place.path("m")).unwrap();
    let output = place.run("train zero.csv --loss softmax --model m");
    let talk = stderr(&output);
    assert!(!output.status.success() && talk.contains("\"y\"") && talk.contains("0"), "{talk}");
}
