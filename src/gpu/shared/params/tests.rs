use super::*;
use std::mem::offset_of;
use wgpu::naga::{self, AddressSpace, Scalar, TypeInner};

/// A struct's size and its fields: name, offset, type.
type Layout = (u32, Vec<(String, u32, Scalar)>);

/// The scalar that a field is in WGSL.
trait Field {
    const SCALAR: Scalar;
}

impl Field for u32 {
    const SCALAR: Scalar = Scalar::U32;
}

impl Field for f32 {
    const SCALAR: Scalar = Scalar::F32;
}

fn scalar_of<T: Field>(_: &T) -> Scalar {
    T::SCALAR
}

macro_rules! layout {
    ($name:ident { $($field:ident),* }) => {{
        // Fails to compile where a field is not listed.
        let $name { $($field),* } = $name::default();
        let fields = vec![
            $((stringify!($field).to_owned(), offset_of!($name, $field) as u32, scalar_of(&$field))),*
        ];
        (size_of::<$name>() as u32, fields)
    }};
}

/// Shader, struct in WGSL, layout in Rust.
fn layouts() -> Vec<(&'static str, &'static str, Layout)> {
    let segment = || layout!(Segment { row, start, length, slot });
    let entry = |name: &str, scalar| {
        let (size, mut fields) = layout!(Entry { partner, second });
        fields[1] = (name.to_owned(), fields[1].1, scalar);
        (size, fields)
    };
    vec![
        (
            "residual",
            "Params",
            layout!(ResidualParams {
                first_segment,
                segments,
                own_bias,
                partner_bias,
                batch_start,
                sums_start,
                weights_start,
                global_mean
            }),
        ),
        ("residual", "Segment", segment()),
        ("residual", "Entry", entry("value", Scalar::F32)),
        ("gradient", "Params", layout!(GradientParams { first_segment, segments, sums_start })),
        ("gradient", "Segment", segment()),
        ("gradient", "Entry", entry("link", Scalar::U32)),
        (
            "step",
            "Params",
            layout!(StepParams {
                first_row,
                rows,
                own_bias,
                sums_start,
                scale,
                decay,
                decay_bias,
                damping,
                damping_bias,
                momentum,
                bias_rate
            }),
        ),
        ("step", "Visit", layout!(VisitParams { rate })),
        ("step", "Touched", layout!(Touched { row, slot, slots, weight, share })),
        ("error", "Params", layout!(ErrorParams { ratings, user_bias, item_bias, global_mean })),
        ("error", "Rating", layout!(TestRating { user, item, value })),
        ("reduce", "Params", layout!(ReduceParams { pairs, results })),
        (
            "gram",
            "Params",
            layout!(GramParams {
                first_workgroup,
                first_segment,
                segments,
                add,
                first_column,
                partner_bias
            }),
        ),
        ("gram", "Segment", segment()),
        ("gram", "Entry", entry("value", Scalar::F32)),
        ("join", "Params", layout!(JoinParams { first, rows })),
        ("join", "Join", layout!(Join { slot, slots })),
        (
            "cholesky",
            "Params",
            layout!(CholeskyParams {
                first,
                rows,
                first_column,
                own_bias,
                reg,
                reg_bias,
                damping,
                damping_bias,
                floor,
                floor_bias,
                unobserved,
                not_a_number,
                first_row
            }),
        ),
        ("cholesky", "Sweep", layout!(SweepParams { key_low, key_high, sweep, tag, deviation })),
        ("cholesky", "Solve", layout!(Solve { row, slot, penalty })),
        (
            "nonnegative",
            "Params",
            layout!(NonnegativeParams { first, rows, reg, damping, unobserved }),
        ),
        ("nonnegative", "Solve", layout!(Solve { row, slot, penalty })),
        (
            "remainder",
            "Params",
            layout!(RemainderParams {
                first_segment,
                segments,
                own_bias,
                partner_bias,
                first_column
            }),
        ),
        ("remainder", "Segment", segment()),
        ("remainder", "Entry", entry("value", Scalar::F32)),
        (
            "penalty",
            "Params",
            layout!(PenaltyParams {
                first_row,
                rows,
                own_bias,
                reg,
                reg_bias,
                damping,
                damping_bias
            }),
        ),
        ("score", "Params", layout!(ScoreParams { queries, columns })),
        ("mask", "Params", layout!(MaskParams { places })),
        (
            "latent",
            "Params",
            layout!(LatentParams {
                first_segment,
                segments,
                own_bias,
                partner_bias,
                first_row,
                first_partner,
                global_mean
            }),
        ),
        ("latent", "Stream", layout!(StreamParams { key_low, key_high, sweep, tag })),
        ("latent", "Segment", segment()),
        ("latent", "Entry", entry("level", Scalar::F32)),
        ("philox", "Params", layout!(PhiloxParams { counters })),
        ("philox", "Counter", layout!(Counter { a, b, c, d, key_low, key_high })),
        ("predict", "Params", layout!(PredictParams { pairs, user_bias, item_bias, global_mean })),
        ("predict", "Pair", layout!(Pair { user, item })),
        ("topk", "Params", layout!(TopkParams { columns, first_row, n })),
        ("topk", "Entry", layout!(TopkEntry { score, row })),
        ("topk", "Entry", layout!(TopkEntry { score, row })),
        ("count", "Params", layout!(CountParams { columns, first_row })),
        ("count", "Interval", layout!(CountInterval { query, high, low, slope })),
        ("count", "Counted", layout!(CountedParams { above, within })),
        (
            "prepare",
            "Params",
            layout!(PrepareParams {
                first,
                rows,
                to,
                first_row,
                own_bias,
                key_low,
                key_high,
                sweep,
                tag,
                below,
                keep
            }),
        ),
        (
            "pair_score",
            "Params",
            layout!(PairScoreParams { first, pairs, first_user, first_item, items }),
        ),
        (
            "contrast",
            "Params",
            layout!(ContrastParams {
                first_user,
                users,
                first_item,
                items,
                stride,
                first_slot,
                scale
            }),
        ),
        (
            "normalizer",
            "Params",
            layout!(NormalizerParams { first_row, first_user, stride, first_four, margin, joins }),
        ),
        (
            "pick",
            "Params",
            layout!(PickParams {
                first,
                first_user,
                first_item,
                items,
                draws,
                known_starts,
                known,
                tries,
                margin,
                infinity,
                joins
            }),
        ),
        (
            "pairs",
            "Params",
            layout!(PairsParams {
                first,
                users,
                sums_start,
                inverse_temperature,
                inverse_cut,
                power,
                margin
            }),
        ),
        (
            "user_gradient",
            "Params",
            layout!(UserGradientParams {
                users,
                items,
                stride,
                first_user,
                first_four,
                first_item,
                length,
                to,
                tile,
                adds,
                margin
            }),
        ),
        (
            "item_gradient",
            "Params",
            layout!(ItemGradientParams {
                users,
                items,
                stride,
                first_user,
                first_four,
                first_row,
                length,
                to,
                tile,
                adds,
                margin
            }),
        ),
        (
            "pair_gradient",
            "Params",
            layout!(PairGradientParams {
                first,
                rows,
                to,
                first_partner,
                partners,
                pairs,
                sums_start,
                adds
            }),
        ),
        (
            "project",
            "Params",
            layout!(ProjectParams {
                first,
                rows,
                to,
                first_row,
                dense,
                parts,
                tile,
                key_low,
                key_high,
                sweep,
                tag,
                below,
                keep
            }),
        ),
        ("prepare", "Slot", layout!(ChoiceSlot { row, start, pairs })),
        ("pairs", "Slot", layout!(ChoiceSlot { row, start, pairs })),
        ("pair_gradient", "Slot", layout!(ChoiceSlot { row, start, pairs })),
        ("project", "Slot", layout!(ChoiceSlot { row, start, pairs })),
        ("pair_score", "Pair", layout!(ChoicePair { user, item, begin, weight, threshold })),
        ("pick", "Pair", layout!(ChoicePair { user, item, begin, weight, threshold })),
        ("pairs", "Pair", layout!(ChoicePair { user, item, begin, weight, threshold })),
        ("pair_gradient", "Pair", layout!(ChoicePair { user, item, begin, weight, threshold })),
        ("pair_gradient", "Entry", layout!(ChoiceEntry { partner, pair })),
        ("project", "Touched", layout!(Touched { row, slot, slots, weight, share })),
    ]
}

/// The structs that a shader's buffers hold.
fn structs(source: &str) -> Vec<(String, Layout)> {
    let module = naga::front::wgsl::parse_str(source).unwrap();
    let mut structs = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        if !matches!(variable.space, AddressSpace::Uniform | AddressSpace::Storage { .. }) {
            continue;
        }
        let mut ty = &module.types[variable.ty];
        let mut stride = None;
        if let TypeInner::Array { base, stride: bytes, .. } = ty.inner {
            ty = &module.types[base];
            stride = Some(bytes);
        }
        let TypeInner::Struct { members, span } = &ty.inner else { continue };
        assert!(stride.is_none_or(|stride| stride == *span), "padded elements");
        let field = |member: &naga::StructMember| {
            let TypeInner::Scalar(scalar) = module.types[member.ty].inner else {
                panic!("{:?} is no scalar", member.name);
            };
            (member.name.clone().unwrap(), member.offset, scalar)
        };
        let name = ty.name.clone().unwrap();
        structs.push((name, (*span, members.iter().map(field).collect())));
    }
    structs
}

fn sources() -> Vec<(&'static str, String)> {
    let sources = crate::gpu::Sources::default();
    sources.named().into_iter().map(|(name, text)| (name, text.to_owned())).collect()
}

#[test]
fn layouts_match_the_shaders() {
    let mut layouts = layouts();
    for (shader, source) in sources() {
        for (name, wgsl) in structs(&source) {
            let known = layouts.iter().position(|(s, n, _)| *s == shader && *n == name);
            let known = known.unwrap_or_else(|| panic!("{shader}.wgsl: {name} has no twin"));
            let (.., rust) = layouts.swap_remove(known);
            assert_eq!(rust, wgsl, "{shader}.wgsl: {name}");
        }
    }
    let left: Vec<_> = layouts.iter().map(|(shader, name, _)| (shader, name)).collect();
    assert!(left.is_empty(), "in no shader: {left:?}");
}

#[test]
fn a_layout_that_differs_is_noticed() {
    let (_, reduce) = sources().into_iter().find(|(name, _)| *name == "reduce").unwrap();
    let (_, sound) = structs(&reduce).remove(0);
    let planted = |members: &str| {
        let binding = "@group(0) @binding(0) var<uniform> params: Params;";
        structs(&format!("struct Params {{ {members} }}\n{binding}")).remove(0).1
    };
    assert_eq!(planted("pairs: u32, results: u32"), sound);
    for members in [
        "results: u32, pairs: u32",
        "pairs: u32, results: f32",
        "pairs: u32, @align(16) results: u32",
        "pairs: u32, results: u32, more: u32",
    ] {
        assert_ne!(planted(members), sound, "{members}");
    }
}
