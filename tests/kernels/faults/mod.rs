//! The comparisons are shown to fail: faults are planted in the shaders' text, and each must be
//! noticed by the comparison that stands beside it in the table; and in a backend's answers.

mod choice_kernels;
mod choices;
mod gibbs;
mod gradient;
mod latent;
mod rank;
mod rows;

use crate::common::gpu_with;
use crate::conformance::Compare;
use wgmf::gpu::Sources;

/// A fault in a shader's text, and the case at which it must show.
pub struct Fault<C> {
    pub kernel: &'static str,
    pub what: &'static str,
    /// Text of the shader, and what stands there instead.
    pub from: &'static str,
    pub to: &'static str,
    /// How often the text stands there; all are replaced.
    pub times: usize,
    pub case: fn() -> C,
}

/// Short names for the tables.
pub const fn fault<C>(
    kernel: &'static str,
    what: &'static str,
    (from, to): (&'static str, &'static str),
    case: fn() -> C,
) -> Fault<C> {
    Fault { kernel, what, from, to, times: 1, case }
}

/// The same, of text that stands there several times.
pub const fn faults<C>(times: usize, fault: Fault<C>) -> Fault<C> {
    let Fault { kernel, what, from, to, case, .. } = fault;
    Fault { kernel, what, from, to, times, case }
}

/// The text of a kernel that has faults.
fn text<'a>(sources: &'a mut Sources, kernel: &str) -> &'a mut std::borrow::Cow<'static, str> {
    match kernel {
        "cholesky" => &mut sources.cholesky,
        "contrast" => &mut sources.contrast,
        "count" => &mut sources.count,
        "error" => &mut sources.error,
        "gradient" => &mut sources.gradient,
        "gram" => &mut sources.gram,
        "item_gradient" => &mut sources.item_gradient,
        "join" => &mut sources.join,
        "latent" => &mut sources.latent,
        "mask" => &mut sources.mask,
        "nonnegative" => &mut sources.nonnegative,
        "normalizer" => &mut sources.normalizer,
        "pair_gradient" => &mut sources.pair_gradient,
        "pair_score" => &mut sources.pair_score,
        "pairs" => &mut sources.pairs,
        "penalty" => &mut sources.penalty,
        "philox" => &mut sources.philox,
        "pick" => &mut sources.pick,
        "predict" => &mut sources.predict,
        "prepare" => &mut sources.prepare,
        "project" => &mut sources.project,
        "reduce" => &mut sources.reduce,
        "remainder" => &mut sources.remainder,
        "residual" => &mut sources.residual,
        "score" => &mut sources.score,
        "step" => &mut sources.step,
        "topk" => &mut sources.topk,
        "user_gradient" => &mut sources.user_gradient,
        other => panic!("no kernel {other}"),
    }
}

/// The shaders with `from` replaced, which must stand in `kernel` so many times.
pub fn planted(kernel: &str, (from, to): (&str, &str), times: usize) -> Sources {
    let mut sources = Sources::default();
    let text = text(&mut sources, kernel);
    let found = text.matches(from).count();
    assert_eq!(
        found, times,
        "{kernel}.wgsl: `{from}` stands there {found} times; the shader changed, and the fault must \
         follow"
    );
    *text = text.replace(from, to).into();
    sources
}

impl<C> Fault<C> {
    /// The shaders with the fault.
    pub fn plant(&self) -> Sources {
        planted(self.kernel, (self.from, self.to), self.times)
    }
}

/// Faults that hardware need not show: a barrier that is missing is a race, which mostly goes well
/// there, where software lets one lane run far ahead of the next; and hardware fuses multiply-adds, so
/// that its sums need no refinement where those of software do.
const MAY_GO_WELL: [&str; 7] = [
    "rows are used before they are there",
    "gradients are used before they are there",
    "the tree is read early",
    "ratings are used before they are there",
    "ratings are replaced while they are used",
    "a panel is used before it is there",
    "rows are not refined",
];

/// Plants every fault of a kernel, and holds the sound kernels against each case once.
pub fn hold<C: Compare>(kernel: &str, table: &[Fault<C>]) {
    let (mut proven, mut failures, mut count) = (Vec::new(), Vec::new(), 0);
    for fault in table.iter().filter(|fault| fault.kernel == kernel) {
        count += 1;
        let case = (fault.case)();
        if !proven.contains(&case.name()) {
            for limits in case.devices() {
                if let Err(what) = case.compare(&gpu_with(limits, Sources::default())) {
                    failures.push(format!("the sound kernels differ: {what}"));
                }
            }
            proven.push(case.name());
        }
        let (mut seen, mut hardware) = (Ok(false), false);
        for limits in case.devices() {
            let gpu = gpu_with(limits, fault.plant());
            hardware |= gpu.adapter().is_hardware();
            // A fault that does not compile proves nothing.
            seen = case.opens(&gpu).map(|()| case.objects(&gpu));
            if seen != Ok(false) {
                break;
            }
        }
        let how = match seen {
            Ok(true) => continue,
            Ok(false) if hardware && MAY_GO_WELL.contains(&fault.what) => continue,
            Ok(false) => format!("unnoticed ({})", case.name()),
            Err(error) => format!("does not compile: {error}"),
        };
        failures.push(format!("{}, `{}` for `{}`: {how}", fault.what, fault.to, fault.from));
    }
    assert!(count > 0, "no fault of {kernel}");
    assert!(failures.is_empty(), "{kernel}.wgsl, {count} faults:\n{}", failures.join("\n"));
    println!("{kernel}.wgsl: all {count} faults noticed");
}
