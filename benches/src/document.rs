//! Documents of which a program writes parts.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Puts a text between the file's lines `<!-- begin NAME -->` and `<!-- end NAME -->`. What is
/// around them stays.
///
/// # Errors
/// The file can't be read or written, or lacks these lines.
pub fn replace(path: &Path, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let said = |e| format!("{}: {e}", path.display());
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let before = fs::read_to_string(path).map_err(said)?;
    let Some(after) = between(&before, &begin, &end, text) else {
        return Err(format!("{} lacks the lines `{begin}` and `{end}`", path.display()).into());
    };
    fs::write(path, after).map_err(said)?;
    Ok(())
}

fn between(document: &str, begin: &str, end: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_lines_changes() {
        let replaced = |document| between(document, "<a>", "</a>", "new\n");
        assert_eq!(replaced("1\n<a>\nold\n</a>\n2"), Some("1\n<a>\nnew\n</a>\n2".to_owned()));
        assert_eq!(replaced("</a><a>"), None);
        assert_eq!(replaced("1"), None);
    }
}
