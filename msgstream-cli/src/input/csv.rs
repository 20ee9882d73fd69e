//! CSV records, with the lines that they stand on and the bytes that they were.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

/// Reads the records of one CSV file, one at a time.
pub(crate) struct Records<R> {
    source: R,
    parser: Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// The number of fields of the record that was read last.
    count: usize,
    raw: Vec<u8>,
    /// The line of the record that was read last.
    line: u64,
    /// The line that what comes next is on.
    next: u64,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            parser: Reader::new(),
            fields: vec![0; 1024],
            ends: vec![0; 64],
            count: 0,
            raw: Vec::new(),
            line: 1,
            next: 1,
        }
    }

    /// Reads the next record; `false` at the end. Empty lines are passed over.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.raw.clear();
        self.count = 0;
        let mut written = 0;
        let there = loop {
            let input = self.source.fill_buf()?;
            let (result, read, bytes, ends) = self.parser.read_record(
                input,
                &mut self.fields[written..],
                &mut self.ends[self.count..],
            );
            self.raw.extend_from_slice(&input[..read]);
            self.source.consume(read);
            written += bytes;
            self.count += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break true,
                ReadRecordResult::End => break false,
            }
        };
        // The end of the line before, and empty lines.
        let blank = self.raw.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.line = self.next + newlines(&self.raw[..blank]);
        self.next += newlines(&self.raw);
        self.raw.drain(..blank);
        Ok(there)
    }

    /// The fields; `None` where one isn't UTF-8.
    pub(crate) fn fields(&self) -> Option<Fields<'_>> {
        let ends = &self.ends[..self.count];
        let bytes = &self.fields[..ends.last().copied().unwrap_or(0)];
        let text = std::str::from_utf8(bytes).ok()?;
        // A character must not be cut in two by the end of a field.
        ends.iter().all(|end| text.is_char_boundary(*end)).then_some(Fields { text, ends })
    }

    /// The bytes of the record, without the end of its line.
    pub(crate) fn raw(&self) -> &[u8] {
        let end = self.raw.iter().rposition(|b| !matches!(b, b'\r' | b'\n'));
        &self.raw[..end.map_or(0, |last| last + 1)]
    }

    /// The line that the record begins on, from 1.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// The fields of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a str> {
        let start = index.checked_sub(1).map_or(Some(&0), |i| self.ends.get(i))?;
        self.text.get(*start..*self.ends.get(index)?)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// Line, fields and raw bytes of each record, read through a buffer of some size.
    fn read(csv: &[u8], buffer: usize) -> Vec<(u64, Option<Vec<String>>, Vec<u8>)> {
        let mut records = Records::new(BufReader::with_capacity(buffer, csv));
        let mut all = Vec::new();
        while records.advance().unwrap() {
            let fields = records.fields().map(|f| f.iter().map(str::to_owned).collect());
            all.push((records.line(), fields, records.raw().to_vec()));
        }
        all
    }

    fn row(line: u64, fields: &[&str], raw: &str) -> (u64, Option<Vec<String>>, Vec<u8>) {
        (line, Some(fields.iter().map(|f| (*f).to_owned()).collect()), raw.into())
    }

    #[test]
    fn lines_and_raw_bytes_are_exact_whatever_ends_a_line() {
        for end in ["\n", "\r\n"] {
            let csv = format!("a,b{end}1,2{end}{end}\"x\n\"\"y\",3{end}4,5");
            let wanted = [
                row(1, &["a", "b"], "a,b"),
                row(2, &["1", "2"], "1,2"),
                row(4, &["x\n\"y", "3"], "\"x\n\"\"y\",3"),
                row(6, &["4", "5"], "4,5"),
            ];
            for buffer in [1, 2, 3, 7, 4096] {
                assert_eq!(read(csv.as_bytes(), buffer), wanted, "{end:?} {buffer}");
            }
        }
    }

    #[test]
    fn long_and_many_fields_are_read() {
        let long = "x".repeat(5000);
        let many = vec!["1"; 300];
        let csv = format!("{long},{}\n", many.join(","));
        let fields: Vec<_> = std::iter::once(&*long).chain(many).collect();
        assert_eq!(read(csv.as_bytes(), 4096), [row(1, &fields, csv.trim_end())]);
    }

    proptest! {
        #[test]
        fn fields_are_those_of_the_csv_crate(
            csv in "[a\",é\r\n]{0,40}",
            buffer in 1_usize..16,
        ) {
            let mut theirs = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(csv.as_bytes());
            let theirs: Vec<Vec<String>> =
                theirs.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<_> = read(csv.as_bytes(), buffer).into_iter().map(|r| r.1.unwrap()).collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn fields_must_be_utf8_each_by_itself() {
        for csv in [&b"a,\xff\n"[..], b"\xc3,\xa9\n"] {
            let read = read(csv, 4096);
            assert_eq!(read[0].1, None);
            assert_eq!(read[0].2, csv[..3]);
        }
    }
}
