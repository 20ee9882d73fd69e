//! What the tables of a page hold.

/// Returns the text between `<!-- begin NAME -->` and `<!-- end NAME -->`.
pub(crate) fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- begin {name} -->")).expect(name);
    rest.split_once("<!-- end").expect(name).0
}

/// Returns the rows of the first table after a heading, or of the first table at all, without its head.
pub(crate) fn rows<'a>(text: &'a str, heading: Option<&str>) -> Vec<Vec<&'a str>> {
    let lines = text.lines().skip_while(|line| heading.is_some_and(|heading| *line != heading));
    let table =
        lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = table
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "there is no table");
    rows
}

#[test]
fn a_table_is_found_by_its_heading() {
    let page = "<!-- begin a -->\n| x |\n| - |\n| 1 |\n\n### b\n\n| x | y |\n| - | - |\n| 2 | 3 |\n<!-- end a -->";
    assert_eq!(rows(block(page, "a"), None), [["1"]]);
    assert_eq!(rows(block(page, "a"), Some("### b")), [["2", "3"]]);
}
