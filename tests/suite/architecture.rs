//! Where things live and how they depend on each other: folders import only from those below them, no file from one that imports it, and
//! what decides does no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// The folders (and files) of the function, from the top to the bottom. Each imports only from those after it.
const STOREYS: [&str; 9] = ["main", "handler", "workflow", "aws", "report", "decide", "input", "domain", "platform"];
/// Those that do no I/O.
const PURE: [&str; 4] = ["domain", "input", "decide", "report"];
const IMPURE: [&str; 9] = [
    "async ",
    ".await",
    "aws_sdk",
    "aws_config",
    "tokio",
    "Timestamp::now",
    "crate::platform::clock",
    "std::env",
    "println",
];

/// The modules of a crate: each file, without its tests and comments.
struct Modules(BTreeMap<String, String>);

impl Modules {
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut modules = BTreeMap::new();
        for path in rust_files(&root) {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::");
            let source = fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            modules.insert(name.strip_suffix("::mod").unwrap_or(&name).to_owned(), code.join("\n"));
        }
        Self(modules)
    }

    /// What each module imports of the same crate.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let path =
            Regex::new(r"\b(crate|super(?:::super)*)::((?:[a-z_0-9]+::)*)(?:\{([^}]*)\}|([A-Za-z_0-9]+))").unwrap();
        let mut imports = BTreeMap::new();
        for (name, code) in &self.0 {
            let mut found = BTreeSet::new();
            for place in path.captures_iter(code) {
                let mut base: Vec<&str> = match &place[1] {
                    "crate" => Vec::new(),
                    ups => name.split("::").take(name.split("::").count() - ups.split("::").count()).collect(),
                };
                base.extend(place[2].split("::").filter(|part| !part.is_empty()));
                let list = place.get(3).or(place.get(4)).map_or("", |list| list.as_str());
                for item in list.split(',') {
                    let item = item.trim().split([' ', ':']).next().unwrap();
                    let whole = base.iter().copied().chain([item]).collect::<Vec<_>>();
                    let mut longest = (1..=whole.len()).rev().map(|length| whole[..length].join("::"));
                    let module = longest.find_map(|path| self.0.get_key_value(&path));
                    found.extend(module.map(|(module, _)| module.as_str()).filter(|module| module != name));
                }
            }
            imports.insert(name.as_str(), found);
        }
        imports
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn storey(module: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| module.split("::").next() == Some(storey))
}

#[test]
#[expect(clippy::print_stdout, reason = "the folders and their arrows are shown")]
fn folders_import_only_from_those_below_them() {
    let modules = Modules::read("src");
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut counted = 0;
    for (module, imports) in modules.imports() {
        for import in imports {
            let (Some(from), Some(to)) = (storey(module), storey(import)) else { continue };
            counted += 1;
            assert!(from <= to, "{module} imports {import}, which is above it");
            if from != to {
                arrows.entry(STOREYS[from]).or_default().insert(STOREYS[to]);
            }
        }
    }
    for (from, to) in &arrows {
        println!("{from} -> {}", to.iter().copied().collect::<Vec<_>>().join(", "));
    }
    assert!(!arrows.contains_key("domain") && !arrows.contains_key("platform"), "{arrows:?}");
    assert_eq!(arrows["aws"], ["domain", "platform"].into());
    assert!(counted > 200, "{counted} imports were found");
}

#[test]
fn no_file_imports_one_that_imports_it() {
    for folder in ["src", "chat/src", "simulator/src"] {
        let modules = Modules::read(folder);
        let mut imports = modules.imports();
        // What imports nothing that is left is in no circle.
        while let Some(free) = imports.iter().find(|(_, imports)| imports.is_empty()).map(|(module, _)| *module) {
            imports.remove(free);
            for imports in imports.values_mut() {
                imports.remove(free);
            }
        }
        assert!(imports.is_empty(), "circles in {folder}: {imports:?}");
    }
}

#[test]
fn what_decides_does_no_io() {
    let modules = Modules::read("src");
    let pure = modules.0.iter().filter(|(module, _)| PURE.contains(&module.split("::").next().unwrap()));
    let mut counted = 0;
    for (module, code) in pure {
        counted += 1;
        for impure in IMPURE {
            assert!(!code.contains(impure), "{module} has `{impure}`");
        }
    }
    assert!(counted > 40, "{counted} files");
}

#[test]
fn only_aws_knows_the_sdk_and_only_the_handler_the_runtime() {
    for folder in ["src", "chat/src"] {
        for (module, code) in Modules::read(folder).0 {
            let top = module.split("::").next().unwrap();
            assert!(!code.contains("aws_sdk") || top == "aws", "{folder}: {module} knows the SDK");
            let may = ["handler", "main"].contains(&module.as_str());
            assert!(!code.contains("use lambda_runtime") || may, "{folder}: {module} knows the runtime");
        }
    }
}
