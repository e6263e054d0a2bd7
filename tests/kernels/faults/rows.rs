//! Faults of the row solvers' kernels.

use super::{Fault, fault, hold};
use crate::common::gpu_with;
use crate::oracle;
use wgmf::Result;
use wgmf::backend::{
    ALL, Backend, Candidates, ChoicePasses, ChoiceProblem, Device, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, ObjectiveBlocks, Ranker, RowPasses, RowProblem,
};
use wgmf::core::{Factors, Side, SideFactors};
use wgmf::cpu::Cpu;

use oracle::row_case::{RowCase, compare};
use std::ops::{ControlFlow, Range};

fn plain() -> RowCase {
    RowCase::new(6, 37, 23, 211).sweeps(1)
}

fn flat() -> RowCase {
    plain().reg_exponent(0.5)
}

fn damped() -> RowCase {
    plain().damped(1.0, 3.0)
}

fn damped_blocks() -> RowCase {
    blocks().damped(1.0, 3.0)
}

fn damped_nonnegative() -> RowCase {
    nonnegative().damped(1.0, 0.0)
}

/// Rows that are refined.
fn weak() -> RowCase {
    RowCase::new(20, 37, 23, 700).weak().sweeps(1)
}

fn weak_implicit() -> RowCase {
    weak().implicit(0.02).weighted()
}

/// L lies in workgroup memory, and a team has more lanes than a processor's vector.
fn middle() -> RowCase {
    RowCase::new(45, 17, 13, 200).sweeps(1)
}

/// Rows whose ratings are copied in several stages, by more lanes than a processor's vector has.
fn long() -> RowCase {
    RowCase::new(45, 3, 5, 400).sweeps(1)
}

/// L lies in the matrices' place, and workgroups share a matrix.
fn wide() -> RowCase {
    RowCase::new(80, 9, 7, 60).sweeps(1)
}

fn implicit() -> RowCase {
    plain().implicit(0.3).weighted()
}

/// Hu's objective, with dislikes and confidences below 1.
fn confident() -> RowCase {
    RowCase::new(9, 37, 23, 400).confident(1.0).sweeps(1)
}

/// Blocks that start at whole vec4s.
fn blocks() -> RowCase {
    RowCase::new(20, 37, 23, 300).sweeps(1).block(8)
}

/// Blocks that start anywhere.
fn odd_blocks() -> RowCase {
    RowCase::new(20, 37, 23, 300).sweeps(1).block(7)
}

fn implicit_blocks() -> RowCase {
    odd_blocks().implicit(0.3).weighted()
}

/// Rows of several segments each.
fn hot() -> RowCase {
    RowCase::of_pairs(7, 2, 40, (0..5000).map(|n| (n % 2, n * n % 40)).collect()).sweeps(1)
}

fn nonnegative() -> RowCase {
    RowCase::new(10, 37, 23, 300).sweeps(1).nonnegative()
}

fn implicit_nonnegative() -> RowCase {
    nonnegative().implicit(0.3)
}

fn wide_nonnegative() -> RowCase {
    RowCase::new(70, 9, 7, 60).sweeps(1).nonnegative()
}

#[rustfmt::skip]
const FAULTS: &[Fault<RowCase>] = &[
    // gram.wgsl
    fault("gram", "the first rating beyond a segment counts",
        ("z0, at0 < length", "z0, at0 <= length"), plain),
    fault("gram", "the last rating of a segment is lost",
        ("z3, at3 < length", "z3, at3 + 1u < length"), plain),
    fault("gram", "a rating between two stages is lost",
        ("done += STAGED)", "done += STAGED + 1u)"), hot),
    fault("gram", "the bias has no column",
        ("z = select(z, vec4(1.0), index == vec4(COORDINATES));", ""), plain),
    fault("gram", "the partner's bias is dropped",
        ("entry.value - biases[params.partner_bias + entry.partner]", "entry.value - 0.0 * biases[entry.partner]"), plain),
    fault("gram", "biases of the wrong side",
        ("biases[params.partner_bias + entry.partner]", "biases[entry.partner]"), plain),
    fault("gram", "weights are ignored",
        ("z *= root_of(at);", "z *= 1.0 + 0.0 * root_of(at);"), implicit),
    fault("gram", "weights count twice",
        ("z *= root_of(at);", "z *= root_of(at) * root_of(at);"), implicit),
    fault("gram", "weights below 0 are added",
        ("select(1.0, -1.0, roots[at] < 0.0)", "select(1.0, 1.0, roots[at] < 0.0)"), confident),
    fault("gram", "a sign is the neighbour's",
        ("let next = staged[at_target + columns].y;", "let next = sign;"), confident),
    fault("gram", "the next block's factors count",
        ("z = select(z, vec4<f32>(), index >= vec4(COORDINATES));", ""), odd_blocks),
    fault("gram", "a block's second column is its first shifted by one",
        ("let first = params.first_column + 4u * column;", "let first = params.first_column + column;"), odd_blocks),
    fault("gram", "every block is the first",
        ("params.first_column / 4u + column", "column"), blocks),
    fault("gram", "blocks fit the ratings and not what is left of them",
        ("t = remainders[at];", "t = entries[at].value + 0.0 * remainders[at];"), blocks),
    fault("gram", "a change fits the ratings and not what is left of them",
        ("t = remainders[at];", "t = entries[at].value + 0.0 * remainders[at];"), weak),
    fault("gram", "a tile's column is its row",
        ("let column = min(j, ACROSS - 1u);", "let column = min(i, ACROSS - 1u);"), plain),
    fault("gram", "a term is lost",
        ("a3 += x0.w * y0;", ""), plain),
    fault("gram", "rows of a tile swapped",
        ("b1 += x0.y * y1;", "b1 += x0.z * y1;"), middle),
    fault("gram", "ratings are used before they are there",
        ("workgroupBarrier();\n        let many", "let many"), wide),
    fault("gram", "ratings are replaced while they are used",
        ("        workgroupBarrier();\n    }\n\n    if first", "    }\n\n    if first"), long),
    fault("gram", "the last segment of a dispatch is left out",
        ("first + team <= last);", "first + team < last);"), plain),
    fault("gram", "a team's segment is its lane's",
        ("segments[min(first + team, last)]", "segments[min(first + lane, last)]"), plain),
    fault("gram", "sums go to the row's place instead of its slot",
        ("(segment.slot * TILES + tile) * 16u", "(segment.row * TILES + tile) * 16u"), hot),
    fault("gram", "workgroups that share a matrix do the same part",
        ("workgroup % GROUPS * LANES + lane", "lane"), wide),
    fault("gram", "the last tile but one is not written",
        ("tile < TILES {", "tile + 2u < TILES {"), plain),
    // join.wgsl
    fault("join", "the last segment of a row is lost",
        ("slot < row.slots;", "slot + 1u < row.slots;"), hot),
    fault("join", "the second segment of a row is lost",
        ("var slot = 1u;", "var slot = 2u;"), hot),
    fault("join", "every row is the first",
        ("joins[params.first + at / SIZE]", "joins[params.first]"), hot),
    fault("join", "slots lie too close",
        ("matrices[to + slot * SIZE]", "matrices[to + slot * (SIZE - 1u)]"), hot),
    // cholesky.wgsl
    fault("cholesky", "regularization on the wrong column",
        ("vec4(diagonal), index == vec4(row));", "vec4(diagonal), index == vec4(row ^ 1u));"), plain),
    fault("cholesky", "factors are regularized once, and not once a rating",
        ("diagonal = params.reg * penalty +", "diagonal = params.reg +"), plain),
    fault("cholesky", "the bias is regularized as factors",
        ("diagonal = params.reg_bias * penalty +", "diagonal = params.reg * penalty +"), plain),
    fault("cholesky", "the bias is not regularized",
        ("diagonal = params.reg_bias * penalty +", "diagonal ="), flat),
    fault("cholesky", "factors are not damped",
        ("penalty + params.damping;\n    } else", "penalty;\n    } else"), damped),
    fault("cholesky", "the bias is damped as factors",
        ("params.reg_bias * penalty + params.damping_bias;", "params.reg_bias * penalty + params.damping;"), damped),
    fault("cholesky", "a block's slope leaves out the damping",
        ("solve.penalty + params.damping;", "solve.penalty;"), damped_blocks),
    fault("cholesky", "a block's slope leaves out that of the bias's damping",
        ("solve.penalty + params.damping_bias;", "solve.penalty;"), damped_blocks),
    fault("cholesky", "pairs without a rating do not count",
        ("if UNOBSERVED && row < COORDINATES {", "if UNOBSERVED && row > COORDINATES {"), implicit),
    fault("cholesky", "pairs without a rating count fully",
        ("        sum *= params.unobserved;\n    }\n    var diagonal", "    }\n    var diagonal"), implicit),
    fault("cholesky", "every block's pairs are the first's",
        ("let first = params.first_column;\n            let last", "let first = 0u;\n            let last"), implicit_blocks),
    fault("cholesky", "the right-hand side stays as it was",
        ("-= sums;", "-= 0.0 * sums;"), blocks),
    fault("cholesky", "a block's slope leaves out the unobserved",
        ("sum += dot(whole_column(column, four), x);\n                    }\n                    sum *= params.unobserved;", "}"), implicit_blocks),
    fault("cholesky", "a block's slope leaves out the regularization",
        ("sum += reg * own[row_start + column];", "sum += 0.0 * reg;"), odd_blocks),
    fault("cholesky", "a block's slope leaves out that of the bias",
        ("sum = reg_bias * biases[params.own_bias + solve.row];", "sum = 0.0 * reg_bias;"), blocks),
    fault("cholesky", "the Gram matrix' upper part is misread",
        ("let part = row % 4u;", "let part = column % 4u;"), implicit_blocks),
    fault("cholesky", "an element of the Gram matrix is misread",
        ("[low % 4u]", "[high % 4u]"), implicit_blocks),
    fault("cholesky", "a term of the diagonal block is lost",
        ("let l21 = (d2.y - l20 * l10) * r1;", "let l21 = d2.y * r1;"), plain),
    fault("cholesky", "the last pivot misses a square",
        ("let p3 = d3.w - l30 * l30 - l31 * l31 - l32 * l32;", "let p3 = d3.w - l30 * l30 - l31 * l31;"), plain),
    fault("cholesky", "a swapped index",
        ("let l32 = (d3.z - l30 * l20 - l31 * l21) * r2;", "let l32 = (d3.z - l30 * l20 - l31 * l20) * r2;"), plain),
    fault("cholesky", "no root",
        ("inverseSqrt(p2)", "1.0 / p2"), plain),
    fault("cholesky", "the nearest panel to the left is forgotten",
        ("left < panel;", "left + 1u < panel;"), plain),
    fault("cholesky", "pivots swapped",
        ("+ pivot_start + offset;\n                    p0 = store[pivots];\n                    p1 = store[pivots + 2u];", "+ pivot_start + offset;\n                    p1 = store[pivots];\n                    p0 = store[pivots + 2u];"), middle),
    fault("cholesky", "pivots of a pair's second panel swapped",
        ("+ next_start + offset;\n                        p0 = store[pivots];\n                        p1 = store[pivots + 2u];", "+ next_start + offset;\n                        p1 = store[pivots];\n                        p0 = store[pivots + 2u];"), middle),
    fault("cholesky", "pivots swapped outside of workgroup memory",
        ("* (left - begin);\n                    p0 = store[pivots];\n                    p1 = store[pivots + 1u];", "* (left - begin);\n                    p1 = store[pivots];\n                    p0 = store[pivots + 1u];"), wide),
    fault("cholesky", "pivots of a pair's second panel swapped outside of workgroup memory",
        ("+ 8u * left + 4u;\n                        p0 = store[pivots];\n                        p1 = store[pivots + 1u];", "+ 8u * left + 4u;\n                        p1 = store[pivots];\n                        p0 = store[pivots + 1u];"), wide),
    fault("cholesky", "the second of two rows is left as it was",
        ("t0 -= vec4(dot(y, p0)", "t0 -= 0.0 * vec4(dot(y, p0)"), middle),
    fault("cholesky", "the second of two rows is left as it was in a pair's second panel",
        ("t1 -= vec4(dot(y, p0)", "t1 -= 0.0 * vec4(dot(y, p0)"), middle),
    fault("cholesky", "rows are not refined",
        ("own[to] += z;", "own[to] += 0.0 * z;"), weak),
    fault("cholesky", "a change takes the place of the factors",
        ("own[to] += z;", "own[to] = z;"), weak),
    fault("cholesky", "a change of the bias takes its place",
        ("biases[to] += z;", "biases[to] = z;"), weak),
    fault("cholesky", "a change leaves out the regularization",
        ("sum += reg * own[row_start + column];", "sum += 0.0 * reg;"), weak),
    fault("cholesky", "a change leaves out the unobserved",
        ("sum += dot(whole_column(column, four), x);\n                    }\n                    sum *= params.unobserved;", "}"), weak_implicit),
    fault("cholesky", "a term of L is lost",
        ("(sum.z - x0 * l20 - x1 * l21) * r2", "(sum.z - x0 * l20) * r2"), plain),
    fault("cholesky", "a diagonal is not inverted",
        ("if row == 4u * panel + 1u { x.y = r1; }", ""), plain),
    fault("cholesky", "a term of the solution is lost",
        ("let z1 = (y.y - l3.y * z3 - l2.y * z2) * l1.y;", "let z1 = (y.y - l3.y * z3) * l1.y;"), plain),
    fault("cholesky", "what is solved moves the wrong row",
        ("z2 * store[rest + at + 4u]", "z2 * store[rest + at + 6u]"), middle),
    fault("cholesky", "what is solved moves the wrong row outside of workgroup memory",
        ("z2 * matrices[matrix + at + 4u]", "z2 * matrices[matrix + at + 6u]"), wide),
    fault("cholesky", "the last panel's solution is not kept",
        ("if lane == 0u && done > 0u {", "if lane == 0u && done > 1u {"), plain),
    fault("cholesky", "the first panel's solution is not kept",
        ("        store[right] = solved;", ""), plain),
    fault("cholesky", "a panel is used before it is there",
        ("        storageBarrier();\n        workgroupBarrier();\n    }\n\n    // y,", "    }\n\n    // y,"), middle),
    fault("cholesky", "a block takes the place of the factors",
        ("own[to] += z;", "own[to] = z;"), blocks),
    fault("cholesky", "a block's bias takes the place of the bias",
        ("biases[to] += z;", "biases[to] = z;"), blocks),
    fault("cholesky", "a block's move is not handed on",
        ("+ at] = z;", "+ at] = 0.0;"), blocks),
    fault("cholesky", "the bias is a factor",
        ("[COORDINATES % 4u];", "[(COORDINATES - 1u) % 4u];"), plain),
    fault("cholesky", "the last factor is not written",
        ("at < COORDINATES; at += LANES) {\n            let z", "at + 1u < COORDINATES; at += LANES) {\n            let z"), plain),
    fault("cholesky", "biases of the wrong side",
        ("let to = params.own_bias + solve.row;", "let to = solve.row;"), plain),
    fault("cholesky", "the last row of a dispatch is left out",
        ("let mine = index <= last;", "let mine = index < last;"), plain),
    // nonnegative.wgsl
    fault("nonnegative", "the right-hand side has the wrong sign",
        ("var sum = -element(matrix, TARGET, j, 0.0);", "var sum = element(matrix, TARGET, j, 0.0);"), nonnegative),
    fault("nonnegative", "factors below zero",
        ("value = select(value, 0.0, value < 0.0);", ""), nonnegative),
    fault("nonnegative", "few cycles",
        ("const CYCLES: u32 = 32u;", "const CYCLES: u32 = 4u;"), nonnegative),
    fault("nonnegative", "rest that comes too early",
        ("const STILL: f32 = 1e-5;", "const STILL: f32 = 1e-2;"), nonnegative),
    fault("nonnegative", "factors are regularized once, and not once a rating",
        ("let diagonal = params.reg * solve.penalty +", "let diagonal = params.reg +"), nonnegative),
    fault("nonnegative", "factors are not damped",
        ("solve.penalty + params.damping;", "solve.penalty;"), damped_nonnegative),
    fault("nonnegative", "pairs without a rating count fully",
        ("value += params.unobserved * whole[at][part];", "value += whole[at][part];"), implicit_nonnegative),
    fault("nonnegative", "a cycle does not begin again",
        ("(j + 1u) % COORDINATES", "min(j + 1u, COORDINATES - 1u)"), nonnegative),
    fault("nonnegative", "the slope is not kept",
        ("gradient[at] = sum;", ""), nonnegative),
    fault("nonnegative", "what moved is not kept",
        ("if at == j { x[at] = value; }", ""), nonnegative),
    fault("nonnegative", "only the first coordinates follow",
        ("at += WORKGROUP) {\n                let sum", "at += 2u * WORKGROUP) {\n                let sum"), wide_nonnegative),
    fault("nonnegative", "a misplaced element",
        ("low / 4u % 2u", "low / 4u % 4u"), nonnegative),
    fault("nonnegative", "the last coordinate is not written",
        ("j < COORDINATES; j += WORKGROUP) {\n        own", "j + 1u < COORDINATES; j += WORKGROUP) {\n        own"), nonnegative),
    // remainder.wgsl
    fault("remainder", "what is left is not kept",
        ("if KEEP || UPDATE {", "if UPDATE {"), blocks),
    fault("remainder", "what a change is to explain is not kept",
        ("if KEEP || UPDATE {", "if UPDATE {"), weak),
    fault("remainder", "what is left is not updated",
        ("e = remainders[here] - inner;", "e = remainders[here];"), blocks),
    fault("remainder", "what moved has the wrong sign",
        ("e = remainders[here] - inner;", "e = remainders[here] + inner;"), blocks),
    fault("remainder", "the own bias is dropped",
        ("biases[params.own_bias + segment.row]\n                + ", ""), plain),
    fault("remainder", "the partner's bias is dropped",
        ("\n                + biases[params.partner_bias + entry.partner]", ""), plain),
    fault("remainder", "weights are ignored",
        ("if WEIGHTED { e *= roots[here]; }", "if WEIGHTED { e *= 1.0 + 0.0 * roots[here]; }"), implicit),
    fault("remainder", "Hu's sum has half its product",
        ("(1.0 - 2.0 * inner)", "(1.0 - inner)"), confident),
    fault("remainder", "a weight below 0 counts as one above",
        ("root * abs(root)", "root * root"), confident),
    fault("remainder", "the error is not squared",
        ("sum += e * e;", "sum += abs(e);"), plain),
    fault("remainder", "the tree loses its root's partner",
        ("width > 0u;", "width > 1u;"), plain),
    fault("remainder", "the last segment of a dispatch is left out",
        ("index <= last);", "index < last);"), plain),
    fault("remainder", "the last rating of a segment is lost",
        ("at < length; at += LANES", "at + 1u < length; at += LANES"), plain),
    fault("remainder", "the last column is lost",
        ("column < COLUMNS;", "column + 1u < COLUMNS;"), plain),
    fault("remainder", "a block's second column is its first shifted by one",
        ("let first = params.first_column + 4u * column;", "let first = params.first_column + column;"), odd_blocks),
    fault("remainder", "every block is the first",
        ("params.first_column / 4u + column", "column"), blocks),
    // penalty.wgsl
    fault("penalty", "rows weigh the same",
        ("weights[row] * sum", "sum + 0.0 * weights[row]"), flat),
    fault("penalty", "damping is left out",
        ("sum + constant", "sum + 0.0 * constant"), damped),
    fault("penalty", "damping of biases is that of factors",
        ("params.damping_bias * bias", "params.damping * bias"), damped),
    fault("penalty", "biases are regularized as factors",
        ("params.reg_bias * bias * bias", "params.reg * bias * bias"), plain),
    fault("penalty", "the last row is lost",
        ("if row < params.rows {", "if row + 2u < params.rows {"), plain),
    fault("penalty", "the last column is lost",
        ("column < WIDTH;", "column + 1u < WIDTH;"), plain),
    fault("penalty", "biases of the wrong side",
        ("biases[params.own_bias + row]", "biases[row]"), plain),
];

/// Faults that show only where a problem is cut: unnoticed on a device of full size, noticed on a
/// small one. So the small ones do cut.
#[rustfmt::skip]
const CUTS: &[(u64, u32, Fault<RowCase>)] = &[
    (4096, 65_535, fault("gram", "a tile's sums take the place of those before",
        ("if params.add == 1u {", "if params.add == 2u {"), many_tiles)),
    (1 << 27, 64, fault("gram", "every dispatch starts at the first workgroup",
        ("params.first_workgroup + group.x", "group.x"), many_rows)),
    (1 << 27, 64, fault("cholesky", "every dispatch starts at the first row",
        ("params.first + group.x", "group.x"), many_rows)),
    (1 << 27, 64, fault("remainder", "every dispatch starts at the first segment",
        ("params.first_segment + group.x", "group.x"), many_rows)),
];

fn many_tiles() -> RowCase {
    RowCase::new(16, 150, 200, 900).sweeps(1)
}

fn many_rows() -> RowCase {
    RowCase::new(5, 1500, 1700, 6000).sweeps(1)
}

#[test]
fn faults_of_gram_are_noticed() {
    hold("gram", FAULTS);
}

#[test]
fn faults_of_join_are_noticed() {
    hold("join", FAULTS);
}

#[test]
fn faults_of_cholesky_are_noticed() {
    hold("cholesky", FAULTS);
}

#[test]
fn faults_of_nonnegative_are_noticed() {
    hold("nonnegative", FAULTS);
}

#[test]
fn faults_of_remainder_are_noticed() {
    hold("remainder", FAULTS);
}

#[test]
fn faults_of_penalty_are_noticed() {
    hold("penalty", FAULTS);
}

#[test]
fn small_devices_cut() {
    let mut failures = Vec::new();
    for (binding_bytes, workgroups, fault) in CUTS {
        let case = (fault.case)();
        let limits = (*binding_bytes, *workgroups);
        if let Err(found) = compare(&gpu_with(None, fault.plant()), &case) {
            failures.push(format!("{}: noticed without a cut: {found}", fault.what));
        }
        if compare(&gpu_with(Some(limits), fault.plant()), &case).is_ok() {
            failures.push(format!("{}: not cut ({})", fault.what, case.name));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// What is wrong with a backend's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Off {
    Nothing,
    /// A number is off by a hundredth.
    Error,
    Unobserved,
    Regularization,
    TestLoss,
    Done,
    UserFactor,
    ItemFactor,
    UserBias,
    ItemBias,
    Mean,
    /// A number is not one.
    NotANumber,
    /// Both sides move at once.
    OtherSide,
    /// A solve does nothing.
    Idle,
    /// The terms are not those that were asked for.
    Exponent,
    BiasAsFactors,
    ForgottenUnobserved,
    OneBlock,
    SmallerBlock,
    Signed,
    /// The ratings are not those that were given.
    WithoutWeights,
    WithoutLast,
    WithoutMean,
}

/// The CPU backend with one thing wrong: what the comparison looks at, it looks at whole.
struct Distorted(Cpu, Off);

struct DistortedPasses(Box<dyn RowPasses>, Off, usize);

impl Backend for Distorted {
    fn device(&self) -> Device {
        self.0.device()
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.0.choice_passes(problem)
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        self.0.gradient_passes(problem)
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.0.copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.0.operations_per_second()
    }

    fn row_passes(&self, mut problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        let terms = &mut problem.terms;
        let ratings = &mut problem.ratings;
        let count = ratings.users.values.len();
        match self.1 {
            Off::Exponent => terms.reg_exponent += 0.05,
            Off::BiasAsFactors => terms.reg_bias = terms.reg,
            Off::ForgottenUnobserved => terms.unobserved_weight *= 0.98,
            Off::OneBlock => terms.block = problem.start.factors,
            Off::SmallerBlock => terms.block -= 1,
            Off::Signed => terms.nonnegative = false,
            Off::WithoutWeights => {
                ratings.users.weights.clear();
                ratings.items.weights.clear();
            }
            Off::WithoutLast => *ratings.items.values.last_mut().unwrap() = 0.0,
            Off::WithoutMean => problem.start.global_mean = 0.0,
            _ => {}
        }
        Ok(Box::new(DistortedPasses(self.0.row_passes(problem)?, self.1, count)))
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        self.0.gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        self.0.ranker(candidates)
    }
}

impl DistortedPasses {
    fn last(&self, off: Off, numbers: &mut [f32]) {
        if let (true, Some(last)) = (self.1 == off, numbers.last_mut()) {
            *last += 0.01 * last.abs().max(0.1);
        }
    }

    fn times(&self, off: Off) -> f64 {
        if self.1 == off { 1.01 } else { 1.0 }
    }
}

impl RowPasses for DistortedPasses {
    fn solve(
        &mut self,
        side: Side,
        rows: Range<usize>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        if self.1 == Off::Idle && side == Side::Item {
            return Ok(self.2);
        }
        if self.1 == Off::OtherSide {
            self.0.solve(side.partner(), ALL, &mut |_| ControlFlow::Continue(()))?;
        }
        Ok(self.0.solve(side, rows, watch)? - usize::from(self.1 == Off::Done))
    }

    fn rows(&mut self, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        self.0.rows(side, rows)
    }

    fn put_rows(&mut self, side: Side, rows: Range<usize>, values: &SideFactors) -> Result<()> {
        self.0.put_rows(side, rows, values)
    }

    fn gram(&mut self, side: Side, rows: Range<usize>) -> Result<Vec<Vec<f64>>> {
        self.0.gram(side, rows)
    }

    fn set_gram(&mut self, side: Side, gram: &[f64]) -> Result<()> {
        self.0.set_gram(side, gram)
    }

    fn objective(&mut self, rows: [Range<usize>; 2]) -> Result<ObjectiveBlocks> {
        let mut objective = self.0.objective(rows)?;
        objective.error.iter_mut().for_each(|sum| *sum *= self.times(Off::Error));
        objective.unobserved *= self.times(Off::Unobserved);
        let sums = objective.regularization.iter_mut().flatten();
        sums.for_each(|sum| *sum *= self.times(Off::Regularization));
        Ok(objective)
    }

    fn test_loss(&mut self) -> Result<f64> {
        Ok(self.0.test_loss()? * self.times(Off::TestLoss))
    }

    fn keep(&mut self) -> Result<()> {
        self.0.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        self.0.kept()
    }

    fn factors(&mut self) -> Result<Factors> {
        let mut factors = self.0.factors()?;
        self.last(Off::UserFactor, &mut factors[Side::User].factors);
        self.last(Off::ItemFactor, &mut factors[Side::Item].factors);
        self.last(Off::UserBias, &mut factors[Side::User].bias);
        self.last(Off::ItemBias, &mut factors[Side::Item].bias);
        self.last(Off::Mean, std::slice::from_mut(&mut factors.global_mean));
        if self.1 == Off::NotANumber {
            factors[Side::Item].factors[0] = f32::NAN;
        }
        Ok(factors)
    }
}

#[test]
fn every_number_is_compared() {
    let plain = RowCase::new(9, 37, 23, 211);
    let explicit = plain.clone().block(4);
    let implicit = plain.clone().implicit(0.2).weighted();
    let nonnegative = plain.nonnegative();
    for (case, offs) in [
        (
            &explicit,
            &[
                Off::Error,
                Off::Regularization,
                Off::TestLoss,
                Off::Done,
                Off::UserFactor,
                Off::ItemFactor,
                Off::UserBias,
                Off::ItemBias,
                Off::Mean,
                Off::NotANumber,
                Off::OtherSide,
                Off::Idle,
                Off::Exponent,
                Off::BiasAsFactors,
                Off::OneBlock,
                Off::SmallerBlock,
                Off::WithoutLast,
                Off::WithoutMean,
            ][..],
        ),
        (
            &implicit,
            &[
                Off::Error,
                Off::Unobserved,
                Off::Regularization,
                Off::TestLoss,
                Off::UserFactor,
                Off::ItemFactor,
                Off::NotANumber,
                Off::Exponent,
                Off::ForgottenUnobserved,
                Off::SmallerBlock,
                Off::WithoutWeights,
                Off::WithoutLast,
            ],
        ),
        (
            &nonnegative,
            &[
                Off::Error,
                Off::Regularization,
                Off::UserFactor,
                Off::ItemFactor,
                Off::NotANumber,
                Off::Exponent,
                Off::Signed,
                Off::WithoutLast,
                Off::Idle,
            ],
        ),
    ] {
        let distorted = |off| compare(&Distorted(Cpu::new(), off), case);
        distorted(Off::Nothing).unwrap();
        for &off in offs {
            assert!(distorted(off).is_err(), "{off:?} is unnoticed ({})", case.name);
        }
    }
}
