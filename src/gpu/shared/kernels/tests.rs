use super::naga::{self, AddressSpace, Block, Expression, Function, Handle, Statement};
use crate::gpu::shared::tiles::Team;
use std::path::Path;

/// What every WebGPU implementation gives a stage.
const STORAGE_BINDINGS: usize = 8;
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: u32 = 16_384;

/// Stem and text of every file under `shaders/`.
fn shaders() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut shaders: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            assert_eq!(path.extension().unwrap(), "wgsl", "{}", path.display());
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    shaders.sort();
    shaders
}

fn children(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => vec![],
    }
}

fn any(block: &Block, holds: &dyn Fn(&Statement) -> bool) -> bool {
    let inside = |s: &Statement| children(s).into_iter().any(|block| any(block, holds));
    block.iter().any(|statement| holds(statement) || inside(statement))
}

fn is_barrier(statement: &Statement) -> bool {
    matches!(statement, Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. })
}

/// Whether something follows a return that only some lanes may take. (naga itself ends the
/// blocks at a function's end with returns.)
fn returns_early(block: &Block) -> bool {
    let last = block.len().saturating_sub(1);
    block.iter().enumerate().any(|(at, statement)| {
        let ends = at == last && !matches!(statement, Statement::Loop { .. });
        children(statement)
            .into_iter()
            .any(|block| if ends { returns_early(block) } else { any(block, &is_return) })
    })
}

fn is_return(statement: &Statement) -> bool {
    matches!(statement, Statement::Return { .. })
}

/// Whether an expression is made of constants and overrides alone, and so the same in all lanes.
fn is_constant(function: &Function, expression: Handle<Expression>) -> bool {
    match function.expressions[expression] {
        Expression::Literal(_) | Expression::Constant(_) | Expression::Override(_) => true,
        Expression::Unary { expr, .. } => is_constant(function, expr),
        Expression::Binary { left, right, .. } => {
            is_constant(function, left) && is_constant(function, right)
        }
        _ => false,
    }
}

/// Whether a barrier stands under a condition that lanes may see differently.
fn has_conditional_barrier(function: &Function, block: &Block) -> bool {
    block.iter().any(|statement| {
        let conditional = match statement {
            Statement::If { condition, .. } => !is_constant(function, *condition),
            Statement::Switch { selector, .. } => !is_constant(function, *selector),
            _ => false,
        };
        children(statement).into_iter().any(|block| {
            (conditional && any(block, &is_barrier)) || has_conditional_barrier(function, block)
        })
    })
}

fn holds_array(module: &naga::Module, ty: Handle<naga::Type>) -> bool {
    match &module.types[ty].inner {
        naga::TypeInner::Array { .. } => true,
        naga::TypeInner::Struct { members, .. } => {
            members.iter().any(|member| holds_array(module, member.ty))
        }
        _ => false,
    }
}

/// What the rules of the house say against a shader.
fn objections(stem: &str, source: &str) -> Vec<String> {
    let module = match naga::front::wgsl::parse_str(source) {
        Ok(module) => module,
        Err(error) => return vec![error.emit_to_string(source)],
    };
    let mut objections = Vec::new();
    let flags = naga::valid::ValidationFlags::all();
    let portable = naga::valid::Capabilities::empty();
    let info = match naga::valid::Validator::new(flags, portable).validate(&module) {
        Ok(info) => info,
        Err(error) => return vec![error.emit_to_string(source)],
    };
    let mut object = |objection: &str| objections.push(format!("{stem}.wgsl: {objection}"));
    match &module.entry_points[..] {
        [entry] => {
            if entry.name != stem {
                object("the entry point is not the file's stem");
            }
            if entry.workgroup_size.iter().product::<u32>() > INVOCATIONS
                || entry.workgroup_size_overrides.is_some()
            {
                object("a workgroup size that is not fixed, or too large");
            }
        }
        _ => object("not one entry point"),
    }
    let in_space = |wanted: fn(AddressSpace) -> bool| {
        module.global_variables.iter().filter(move |(_, v)| wanted(v.space))
    };
    if in_space(|s| matches!(s, AddressSpace::Storage { .. })).count() > STORAGE_BINDINGS {
        object("too many storage bindings");
    }
    let bytes: u32 = in_space(|s| s == AddressSpace::WorkGroup)
        .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
        .sum();
    if bytes > WORKGROUP_BYTES {
        object("too much workgroup memory");
    }
    for (_, variable) in in_space(|s| s == AddressSpace::Uniform) {
        let scalars = match &module.types[variable.ty].inner {
            naga::TypeInner::Struct { members, .. } => members.iter().all(|member| {
                matches!(
                    module.types[member.ty].inner,
                    naga::TypeInner::Scalar(naga::Scalar::U32 | naga::Scalar::F32)
                )
            }),
            _ => false,
        };
        if !scalars {
            object("parameters other than u32 and f32 scalars");
        }
    }
    let entries = module
        .entry_points
        .iter()
        .enumerate()
        .map(|(at, entry)| (&entry.function, info.get_entry_point(at)));
    let functions = module.functions.iter().map(|(handle, f)| (f, &info[handle]));
    for (function, info) in entries.chain(functions) {
        let is_shared_component = |statement: &Statement| match statement {
            Statement::Store { pointer, .. } => matches!(
                info[*pointer].ty.inner_with(&module.types),
                naga::TypeInner::ValuePointer {
                    size: None,
                    space: AddressSpace::WorkGroup | AddressSpace::Storage { .. },
                    ..
                }
            ),
            _ => false,
        };
        if any(&function.body, &is_shared_component) {
            object("a component of a shared vector is written, and with it maybe the whole");
        }
        if function.local_variables.iter().any(|(_, v)| holds_array(&module, v.ty)) {
            object("an array in registers, which drivers spill");
        }
        if any(&function.body, &is_barrier) {
            if returns_early(&function.body) {
                object("an early return beside a barrier");
            }
            if has_conditional_barrier(function, &function.body) {
                object("a barrier under a lane's own condition");
            }
        }
    }
    objections
}

#[test]
fn shaders_keep_the_rules() {
    let shaders = shaders();
    assert!(shaders.len() >= 6);
    for (stem, source) in shaders {
        assert_eq!(objections(&stem, &source), Vec::<String>::new());
    }
}

/// Every shader that draws has the same generator, as far as it needs it, and nothing of it
/// elsewhere.
#[test]
fn shaders_share_one_generator() {
    // From the line after its heading to the end of the function that the heading names.
    let generator = |source: &str| -> Option<String> {
        let (_, heading) = source.split_once("// The generator, from here to the end of `")?;
        let (last, _) = heading.split_once('`')?;
        let start = heading.find("// A 64-bit product")?;
        let end = start + heading[start..].find(&format!("\nfn {last}("))?;
        let end = end + heading[end..].find("\n}\n")?;
        Some(heading[start..end].to_owned())
    };
    let shaders = shaders();
    let drawing: Vec<_> =
        shaders.iter().filter(|(_, source)| source.contains("0xd2511f53u")).collect();
    assert!(drawing.len() >= 3);
    let (_, whole) = drawing.iter().find(|(stem, _)| stem == "philox").unwrap();
    let whole = generator(whole).unwrap();
    let times = |text: &str, part: &str| text.matches(&format!("fn {part}(")).count();
    for (stem, source) in drawing {
        let own = generator(source).unwrap();
        assert!(whole.starts_with(&own), "{stem}.wgsl");
        for part in ["product", "random_words", "logarithm", "box_muller", "normals"] {
            assert_eq!(times(source, part), times(&own, part), "{stem}.wgsl");
        }
        assert_eq!(times(&own, "random_words"), 1, "{stem}.wgsl");
    }
}

#[test]
fn shaders_that_break_a_rule_are_noticed() {
    let shader = |globals: &str, size: u32, body: &str| {
        format!(
            "override LANES: u32 = 8u;\nvar<workgroup> tree: array<f32, 64>;\n{globals}\n\
             @compute @workgroup_size({size})\nfn planted(\n\
             @builtin(local_invocation_index) lane: u32) {{\n{body}\n}}"
        )
    };
    let sound = "tree[lane] = 1.0; if LANES > 8u { workgroupBarrier(); } workgroupBarrier();";
    let none = Vec::<String>::new();
    assert_eq!(objections("planted", &shader("", 64, sound)), none);
    let bindings: String = (0..9)
        .map(|j| format!("@group(0) @binding({j}) var<storage> s{j}: array<f32>;\n"))
        .collect();
    let params = "struct Params { a: vec2<f32> }\n@group(0) @binding(0) var<uniform> p: Params;";
    for (expected, stem, source) in [
        ("not the file's stem", "other", shader("", 64, sound)),
        ("too large", "planted", shader("", 512, sound)),
        ("storage bindings", "planted", shader(&bindings, 64, sound)),
        ("workgroup memory", "planted", shader("var<workgroup> m: array<f32, 9999>;", 64, sound)),
        ("scalars", "planted", shader(params, 64, sound)),
        (
            "component of a shared vector",
            "planted",
            shader(
                "var<workgroup> v: array<vec4<f32>, 16>;",
                64,
                "v[lane / 4u][lane % 4u] -= 1.0; workgroupBarrier();",
            ),
        ),
        (
            "component of a shared vector",
            "planted",
            shader(
                "@group(0) @binding(0) var<storage, read_write> v: array<vec4<f32>>;",
                64,
                "v[lane].y = 1.0; workgroupBarrier();",
            ),
        ),
        ("in registers", "planted", shader("", 64, "var a: array<f32, 4>; a[lane % 4u] = 1.0;")),
        ("early return", "planted", shader("", 64, "if lane > 8u { return; } workgroupBarrier();")),
        (
            "early return",
            "planted",
            shader("", 64, "loop { if lane > 8u { return; } workgroupBarrier(); }"),
        ),
        (
            "own condition",
            "planted",
            shader("", 64, "if lane > 8u { workgroupBarrier(); } tree[lane] = 0.0;"),
        ),
        ("expected", "planted", shader("", 64, "let x = ;")),
    ] {
        let objections = objections(stem, &source).join("\n");
        assert!(objections.contains(expected), "{expected}: {objections:?} of\n{source}");
    }
}

#[test]
fn every_file_is_a_source() {
    let sources = super::Sources::default();
    let mut names: Vec<_> = sources.named().iter().map(|(name, _)| name.to_string()).collect();
    let mut files: Vec<_> = shaders().into_iter().map(|(stem, _)| stem).collect();
    names.sort();
    files.sort();
    assert_eq!(names, files);
}

#[test]
fn teams_cover_every_width() {
    let mut known: Vec<Team> = Vec::new();
    for factors in 1..=1024 {
        let team = Team::new(factors);
        assert!(team.width * 4 >= factors && (team.width - 1) * 4 < factors, "{factors}");
        assert!(team.lanes * team.columns >= team.width, "{factors}: {team:?}");
        assert!((1..=4).contains(&team.columns), "{factors}: {team:?}");
        assert!(team.lanes.is_power_of_two() && team.lanes <= 64, "{factors}: {team:?}");
        assert_eq!(team.teams() * team.lanes, 64);
        // More than half of what the lanes hold belongs to the row.
        assert!(2 * team.width > team.lanes * team.columns, "{factors}: {team:?}");
        if !known.contains(&team) {
            known.push(team);
        }
    }
    // The shaders with these numbers filled in: what they need stays within what there is.
    for (stem, source) in shaders() {
        if !["residual", "gradient"].contains(&stem.as_str()) {
            continue;
        }
        let module = naga::front::wgsl::parse_str(&source).unwrap();
        let flags = naga::valid::ValidationFlags::all();
        let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap();
        for team in &known {
            let constants = [
                ("WIDTH".to_owned(), team.width as f64),
                ("LANES".to_owned(), team.lanes as f64),
                ("COLUMNS".to_owned(), team.columns as f64),
            ];
            let filled = naga::back::pipeline_constants::process_overrides(
                &module,
                &info,
                Some((naga::ShaderStage::Compute, &stem)),
                &constants.into_iter().collect(),
            );
            let (filled, _) = filled.unwrap_or_else(|e| panic!("{stem}, {team:?}: {e}"));
            assert_eq!(filled.entry_points[0].workgroup_size, [64, 1, 1]);
        }
    }
}
