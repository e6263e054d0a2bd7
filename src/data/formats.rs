//! Files that are no table of ratings in text, told by their first bytes, each with what to do.

/// What a file begins with, what it is, and what to do.
type Known = (&'static [u8], &'static str, &'static str);

/// Where tables that are kept by column are read.
#[cfg(feature = "parquet")]
const BY_COLUMN: &str = "ratings and pairs are read from one that is a file of its own, not from a pipe and not \
                         compressed once more: save it, or unpack it";
#[cfg(feature = "parquet")]
const PARQUET: &str = BY_COLUMN;
#[cfg(feature = "parquet")]
const ARROW: &str = BY_COLUMN;
#[cfg(not(feature = "parquet"))]
const ARROW: &str = FEATHER;
#[cfg(not(feature = "parquet"))]
const PARQUET: &str = "`duckdb -c \"COPY (FROM 'FILE') TO 'ratings.csv'\"` writes one";
const FEATHER: &str = "`python -c \"import pandas; pandas.read_feather('FILE').to_csv('ratings.csv', \
                     index=False)\"` writes one";
const EXCEL: &str = "save it as CSV, or `python -c \"import pandas; pandas.read_excel('FILE')\
                     .to_csv('ratings.csv', index=False)\"`";
const PICKLE: &str = "load it with the program that wrote it, and save a table as CSV";
const NUMPY: &str = "`python -c \"import numpy; numpy.savetxt('ratings.csv', numpy.load('FILE'), '%g', \
                     ',')\"` writes one, if its rows are user, item, rating";
const SPARSE: &str = "`python -c \"import scipy.io, scipy.sparse; scipy.io.mmwrite('ratings.mtx', \
                      scipy.sparse.load_npz('FILE'))\"` writes a matrix that can be read, if it is \
                      SciPy's";
const HDF5: &str = "`python -c \"import pandas; pandas.read_hdf('FILE').to_csv('ratings.csv', \
                    index=False)\"` writes one, if pandas wrote it";
const SQLITE: &str =
    "`sqlite3 -header -csv FILE \"SELECT user, item, rating FROM ratings\"` prints one";
const R_DATA: &str = "`Rscript -e \"write.csv(readRDS('FILE'), 'ratings.csv', row.names = FALSE)\"` \
                      writes one, for .rda after load()";
const UNPACK: &str = "unpack it first";

/// The longest first where one begins with another.
const KNOWN: [Known; 35] = [
    (b"PAR1", "a Parquet file", PARQUET),
    (b"ARROW1", "an Arrow file", ARROW),
    (b"FEA1", "a Feather file of the first version", FEATHER),
    (b"\xff\xff\xff\xff", "an Arrow stream", ARROW),
    (
        b"ORC",
        "an ORC file",
        "`python -c \"import pandas; pandas.read_orc('FILE').to_csv('ratings.csv', \
                            index=False)\"` writes one",
    ),
    (
        b"Obj\x01",
        "an Avro file",
        "convert it with `avro-tools tojson FILE`, which prints JSON lines",
    ),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook of the old kind", EXCEL),
    (b"\x93NUMPY", "a NumPy array", NUMPY),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", HDF5),
    (b"SQLite format 3\0", "an SQLite database", SQLITE),
    (b"\x80\x02", "a pickle of Python", PICKLE),
    (b"\x80\x03", "a pickle of Python", PICKLE),
    (b"\x80\x04", "a pickle of Python", PICKLE),
    (b"\x80\x05", "a pickle of Python", PICKLE),
    (b"RDX", "a file of R", R_DATA),
    (b"X\n\0\0\0", "a file of R", R_DATA),
    (
        b"MATLAB 5.0 MAT-file",
        "a MATLAB file",
        "`python -c \"import scipy.io; print(scipy.io.loadmat('FILE')\
                                              .keys())\"` tells what is in it; save that as CSV",
    ),
    (b"BZh", "compressed by bzip2", "`bzip2 -dc FILE | wgmf ... -` reads it"),
    (b"\xfd7zXZ\0", "compressed by xz", "`xz -dc FILE | wgmf ... -` reads it"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "`lz4 -dc FILE | wgmf ... -` reads it"),
    (b"\x1f\x9d", "compressed by compress", "`gzip -dc FILE | wgmf ... -` reads it"),
    (b"\xff\x06\0\0sNaPpY", "compressed by snappy", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "`7z x -so FILE | wgmf ... -` reads it"),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"%PDF-", "a PDF document", "name the table of ratings"),
    (b"\x89PNG", "a picture", "name the table of ratings"),
    (b"\xff\xd8\xff", "a picture", "name the table of ratings"),
    (b"\x7fELF", "a program", "name the table of ratings"),
    (b"\xff\xfe\0\0", "UTF-32 text", "`iconv -f utf-32 -t utf-8 FILE | wgmf ... -` reads it"),
    (b"\0\0\xfe\xff", "UTF-32 text", "`iconv -f utf-32 -t utf-8 FILE | wgmf ... -` reads it"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the file that it stands for",
        "`git lfs pull` fetches that",
    ),
    (
        b"version https://hawser.github.com/spec/",
        "a Git LFS pointer, not the file that it stands for",
        "`git lfs pull` fetches that",
    ),
    (
        b"/annex/objects/",
        "a git-annex pointer, not the file that it stands for",
        "`git annex get FILE` fetches that",
    ),
    (b"@relation", "an ARFF file", "delete the lines that begin with @, and it is comma-separated"),
    (b"{\\rtf", "a rich text document", "save it as plain text"),
];

/// Why a file that begins like this, after decompression, cannot be read as text.
pub(super) fn refusal(head: &[u8]) -> Option<String> {
    let say = |what: &str, remedy: &str| {
        Some(format!("is {what}, and a table of ratings in text is needed; {remedy}"))
    };
    let marked = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = marked.trim_ascii_start();
    let begins = |known: &[u8]| {
        let place = if known[0].is_ascii_graphic() { text } else { head };
        place.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
    };
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let holds = |name: &str| memchr::memmem::find(head, name.as_bytes()).is_some();
        if holds("[Content_Types].xml") || holds("xl/") {
            return say("an Excel workbook", EXCEL);
        }
        if holds(".npy") {
            return say("an archive of NumPy arrays", SPARSE);
        }
        return say("a ZIP archive", "`unzip -p FILE NAME | wgmf ... -` reads the file NAME in it");
    }
    // Short words may begin a line of text; binary files have more than text behind them.
    let is_binary = head.iter().take(64).any(|&b| b == 0 || b >= 0x80);
    let found = KNOWN.iter().find(|(known, ..)| {
        let short_word = known.len() < 6 && known.iter().all(u8::is_ascii_alphanumeric);
        begins(known) && (!short_word || is_binary)
    });
    if let Some((_, what, remedy)) = found {
        return say(what, remedy);
    }
    if head.get(257..262) == Some(b"ustar") {
        return say("a tar archive", "`tar -xOf FILE NAME | wgmf ... -` reads the file NAME in it");
    }
    if head.get(8..12) == Some(b"DUCK") {
        return say("a DuckDB database", "`duckdb FILE -csv -c \"FROM ratings\"` prints one");
    }
    if head.get(8..10) == Some(b"{\"") && head.get(7) == Some(&0) {
        return say("a safetensors file", "it holds tensors, not ratings");
    }
    page(text).and_then(|what| say(what, "look at it: a download may have been refused"))
}

/// Markup, which a server sends in the place of a file.
fn page(text: &[u8]) -> Option<&'static str> {
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag.as_bytes()));
    if ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"].into_iter().any(begins) {
        return Some("a page of HTML");
    }
    ["<?xml", "<!doctype", "<error", "<svg", "<rss"].into_iter().any(begins).then_some("XML")
}
