//! The files that a workflow takes along: those beside it that its steps name, and those that its `include` means. Nothing that lies outside
//! of the workflow's folder is taken, also not by way of a symbolic link.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use honk_bundle::{BundleError, BundleFile, MAX_FILE_BYTES, MAX_FILES};
use honk_workflow::{Diagnostic, Severity, Workflow};
use walkdir::{DirEntry, WalkDir};

use crate::error::CliError;

/// The ends of the names of files that somebody wrote, so that a word with such an end that is no file beside the workflow is probably
/// a mistake; a word with another may be anything.
const SCRIPTS: [&str; 14] = ["bash", "cjs", "jar", "jl", "js", "mjs", "php", "pl", "ps1", "py", "r", "rb", "sh", "sql"];

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// The files, by path.
    pub(super) files: Vec<BundleFile>,
    /// What was named and not found.
    pub(super) warnings: Vec<Diagnostic>,
}

/// What a path below a folder is.
enum Kind {
    /// A file, with its links followed.
    File(PathBuf),
    Outside,
    Other,
    Missing,
}

/// Finds and reads the files of the workflow that was read from `path`; none if that was standard input.
pub(super) fn find(path: Option<&Path>, source: &str, workflow: &Workflow) -> Result<Beside, CliError> {
    let Some(path) = path else { return Ok(without_folder(source, workflow)) };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot =
        |error: std::io::Error| CliError::failed(format!("cannot read {}", folder.display())).caused_by(&error);
    let folder = folder.canonicalize().map_err(cannot)?;
    let mut found = Beside::default();
    let mut names = BTreeMap::new();
    for word in workflow.candidates() {
        match look(&folder, &word) {
            Kind::File(file) => drop(names.insert(word, file)),
            Kind::Outside => found.warnings.push(outside(source, &word)),
            Kind::Missing if is_script(&word) => found.warnings.push(missing(source, &word)),
            Kind::Other | Kind::Missing => {}
        }
    }
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
    for pattern in &workflow.include {
        let matched = included(&folder, pattern, own.as_deref())?;
        if matched.is_empty() {
            found.warnings.push(nothing_included(source, pattern));
        }
        names.extend(matched);
    }
    if names.len() > MAX_FILES {
        return Err(too_much(&BundleError::TooManyFiles { files: names.len() }));
    }
    found.files = names.into_iter().map(|(path, file)| read(path, &file)).collect::<Result<_, _>>()?;
    Ok(found)
}

fn look(folder: &Path, name: &str) -> Kind {
    // What is a path for the system alone, as one with a NUL, is no file.
    let Ok(path) = folder.join(name).canonicalize() else { return Kind::Missing };
    match (path.starts_with(folder), path.is_file()) {
        (true, true) => Kind::File(path),
        (false, true) => Kind::Outside,
        (_, false) => Kind::Other,
    }
}

/// The files below `folder` that the pattern means, without hidden ones and the workflow itself.
fn included(folder: &Path, pattern: &str, own: Option<&str>) -> Result<Vec<(String, PathBuf)>, CliError> {
    let glob = globs(pattern)
        .map_err(|error| CliError::failed(format!("cannot read the pattern `{pattern}`")).caused_by(&error))?;
    let is_shown = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let mut names = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(is_shown) {
        let entry =
            entry.map_err(|error| CliError::failed("cannot look for what `include` means").caused_by(&error))?;
        let Some(name) = entry.path().strip_prefix(folder).ok().and_then(Path::to_str) else { continue };
        if glob.is_match(name)
            && own != Some(name)
            && let Kind::File(file) = look(folder, name)
        {
            names.push((name.to_owned(), file));
        }
        if names.len() > MAX_FILES {
            break;
        }
    }
    Ok(names)
}

/// A folder's pattern means everything in it, as in `.gitignore`.
fn globs(pattern: &str) -> Result<GlobSet, globset::Error> {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
    let mut set = GlobSetBuilder::new();
    for pattern in [pattern.to_owned(), format!("{pattern}/**")] {
        set.add(GlobBuilder::new(&pattern).literal_separator(true).build()?);
    }
    set.build()
}

fn read(path: String, file: &Path) -> Result<BundleFile, CliError> {
    let failed = |error: std::io::Error| CliError::failed(format!("cannot read {}", file.display())).caused_by(&error);
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_much(&BundleError::FileTooLarge { path, bytes: metadata.len() }));
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(BundleFile { path, bytes: std::fs::read(file).map_err(failed)?, executable })
}

/// The error of files that no bundle can have.
pub(super) fn too_much(error: &BundleError) -> CliError {
    CliError::failed("the workflow's files cannot be taken along, and it was not registered").caused_by(error)
}

fn is_script(word: &str) -> bool {
    let end = Path::new(word).extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
    end.is_some_and(|end| SCRIPTS.contains(&end.as_str()))
}

fn without_folder(source: &str, workflow: &Workflow) -> Beside {
    let scripts = workflow.candidates().into_iter().filter(|word| is_script(word));
    let help = "give the workflow's file instead of standard input";
    let warning = |word: String| {
        let message = format!("a step names `{word}`, and standard input has no folder to take it from");
        warning("file-missing", source, &word, message, help)
    };
    Beside { files: Vec::new(), warnings: scripts.map(warning).collect() }
}

fn missing(source: &str, word: &str) -> Diagnostic {
    let message = format!("a step names `{word}`, which does not lie beside the workflow");
    warning(
        "file-missing",
        source,
        word,
        message,
        "put it there, or correct the name; a file that agents have anyway is named by its whole path",
    )
}

fn outside(source: &str, word: &str) -> Diagnostic {
    let message = format!("`{word}` is a link that leads out of the workflow's folder, so it is not taken along");
    warning("file-outside", source, word, message, "put the file itself beside the workflow")
}

fn nothing_included(source: &str, pattern: &str) -> Diagnostic {
    let message = format!("`include` has `{pattern}`, which no file beside the workflow matches");
    warning(
        "include-empty",
        source,
        pattern,
        message,
        "correct the pattern, or remove it; hidden files are never meant",
    )
}

/// A warning at the first place where `word` stands in the text.
fn warning(code: &'static str, source: &str, word: &str, message: String, help: &str) -> Diagnostic {
    let before = &source[..source.find(word).unwrap_or_default()];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Diagnostic {
        code,
        severity: Severity::Warning,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message,
        help: Some(help.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TEXT: &str = "\
name: w
on: dataset_onboard
include: [lib/, '*.json', none.txt]
jobs:
  a:
    steps:
      - run: python check.py --config=a.toml missing.py secret.py data
      - run: [./run.sh, '{{ input.dataset_name }}.py']
";

    fn write(folder: &Path, path: &str, content: &str) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn what_steps_name_and_include_means_is_taken_and_nothing_from_outside() {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "secret.py", "secret");
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "w.yml",
            "check.py",
            "a.toml",
            "run.sh",
            "lib/b.py",
            "lib/deep/c.bin",
            "lib/.hidden",
            "x.json",
            "deep/y.json",
            "other.py",
        ] {
            write(folder.path(), path, path);
        }
        write(folder.path(), "data/part", "");
        std::fs::set_permissions(folder.path().join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink(outside.path().join("secret.py"), folder.path().join("secret.py")).unwrap();
        symlink(outside.path(), folder.path().join("lib/out")).unwrap();
        symlink(outside.path().join("secret.py"), folder.path().join("lib/secret.py")).unwrap();
        symlink("b.py", folder.path().join("lib/again.py")).unwrap();
        let workflow = honk_workflow::parse(TEXT).unwrap().workflow;
        let found = find(Some(&folder.path().join("w.yml")), TEXT, &workflow).unwrap();
        let files: Vec<_> = found.files.iter().map(|file| (file.path.as_str(), file.executable)).collect();
        let plain = ["a.toml", "check.py", "lib/again.py", "lib/b.py", "lib/deep/c.bin"].map(|path| (path, false));
        assert_eq!(files, [&plain[..], &[("run.sh", true), ("x.json", false)]].concat());
        assert_eq!(found.files[2].bytes, b"lib/b.py");
        let warnings: Vec<_> =
            found.warnings.iter().map(|warning| (warning.code, warning.line, warning.column)).collect();
        assert_eq!(warnings, [("file-missing", 7, 46), ("file-outside", 7, 57), ("include-empty", 3, 27)]);
    }

    #[test]
    fn standard_input_has_no_files_and_says_so() {
        let workflow = honk_workflow::parse(TEXT).unwrap().workflow;
        let found = find(None, TEXT, &workflow).unwrap();
        assert!(found.files.is_empty());
        assert!(found.warnings.iter().all(|warning| warning.code == "file-missing"));
        assert_eq!(found.warnings.len(), 4);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("check.py")).unwrap().set_len(1 << 40).unwrap();
        let workflow = honk_workflow::parse(TEXT).unwrap().workflow;
        let error = find(Some(&folder.path().join("w.yml")), TEXT, &workflow).unwrap_err().to_string();
        assert!(error.contains("check.py has 1099511627776 bytes"), "{error}");
    }
}
