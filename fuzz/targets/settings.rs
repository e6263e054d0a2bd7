//! Settings as flags, taken from the definition that the command line is made of, any number in any of
//! them: refused, or trained with.

use super::{Target, cpu, head, model, taken};
use clap::{CommandFactory, Parser};
use std::sync::OnceLock;
use wgmf::core::Options;
use wgmf::data::DataOptions;
use wgmf::{Error, Fit};

pub const TARGET: Target =
    Target { name: "settings", run: settings, seeds, head: 0, words: &WORDS, share: 25 };

const WORDS: [&str; 30] = [
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1e-320",
    "1e308",
    "1e39",
    "nan",
    "inf",
    "-0",
    "18446744073709551615",
    "18446744073709551616",
    "",
    "x",
    "1e-30",
    "als",
    "ials",
    "bayes",
    "sgd",
    "adam",
    "adagrad",
    "logistic",
    "ordinal",
    "probit",
    "log1p",
    "zscore,minmax",
    "log1p,log1p,zscore",
    "binary",
    "1e400",
];

/// What a subcommand's flags are made of.
#[derive(Parser)]
#[command(name = "settings")]
struct Line {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    options: Options,
}

/// More would only take longer, which the flags say plainly.
const MOST: usize = 4;

pub fn settings(data: &[u8]) {
    let (_, body) = head::<0>(data);
    let text = String::from_utf8_lossy(body);
    let arguments = ["settings"].into_iter().chain(text.split('\n').take(40));
    let Ok(Line { data, mut options }) = Line::try_parse_from(arguments) else { return };
    if let Err(error) = options.check().and_then(|()| data.check()) {
        says(&error);
        return;
    }
    let long = [
        &mut options.epochs,
        &mut options.samples,
        &mut options.burn_in,
        &mut options.keep,
        &mut options.chains,
        &mut options.factors,
    ];
    long.into_iter().flatten().for_each(|n| *n = (*n).min(MOST));
    options.epochs.get_or_insert(2);
    if options.solver == Some(wgmf::core::Solver::Bayes) {
        options.epochs = None;
        options.samples.get_or_insert(2);
        options.burn_in.get_or_insert(1);
    }
    let dataset = model::dataset().transformed(&data.transform).with_threshold(data.threshold);
    let dataset =
        dataset.and_then(|all| all.with_at_least(data.min_user_ratings, data.min_item_ratings));
    let Ok(dataset) = dataset else { return };
    let (training, test) = match data.holdout.map(|fraction| dataset.split(fraction, options.seed))
    {
        Some(Ok((training, test))) => (training, Some(test)),
        _ => (dataset, None),
    };
    let mut fit = Fit::new(&training, &options, cpu());
    if let Some(test) = &test {
        fit = fit.test(test);
    }
    match fit.run() {
        Ok(trained) => {
            taken();
            let (model, samples, seen) = trained.into_parts();
            model::uses(model, samples, seen);
        }
        Err(error) => says(&error),
    }
}

/// An error says something, in one line.
fn says(error: &Error) {
    let text = error.to_string();
    assert!(text.len() > 10 && !text.contains('\n'), "an error says {text:?}");
}

/// Every flag with a value that it may have, and pairs of them.
fn seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let make = || {
        let command = Line::command();
        let mut flags = Vec::new();
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long().filter(|long| *long != "help") else { continue };
            let values = argument.get_possible_values();
            match argument.get_action().takes_values() {
                false => flags.push(format!("--{long}")),
                true if values.is_empty() => {
                    flags.push(format!("--{long}\n1"));
                    flags.push(format!("--{long}\n0.5"));
                }
                true => flags.extend(values.iter().map(|v| format!("--{long}\n{}", v.get_name()))),
            }
        }
        let pairs = (0..flags.len()).map(|at| {
            let other = (at * 7 + 3) % flags.len();
            let solver = ["als", "sgd", "bayes", "ials", "adam"][at % 5];
            format!("--solver\n{solver}\n{}\n{}", flags[at], flags[other]).into_bytes()
        });
        let alone = flags.iter().map(|flag| flag.clone().into_bytes());
        alone.chain(pairs).collect()
    };
    SEEDS.get_or_init(make).clone()
}
