//! Files as they are met, and what each holds; or what its refusal says.

/// What becomes of a file.
pub enum Want {
    /// These ratings, `user|item|value`, sorted; and words of the line that says what it was taken
    /// for.
    Reads(&'static [&'static str], &'static [&'static str]),
    /// An error with these words.
    Refused(&'static [&'static str]),
}

use Want::{Reads, Refused};

/// A name, the bytes of a file, the arguments, and what becomes of it.
pub type Case = (&'static str, &'static [u8], &'static str, Want);

const STRAY: &[&str] =
    &["ann|\"live one|3", "bob|plain|2", "cid|other|4", "dee|\"live two|1", "eve|plain|2"];

/// Quotes, for each delimiter.
pub const QUOTES: &[Case] = &[
    (
        "stray quotes between tabs",
        b"ann\t\"live one\t3\nbob\tplain\t2\ncid\tother\t4\ndee\t\"live two\t1\neve\tplain\t2\n",
        "",
        Reads(STRAY, &["tab-separated", "quotes are read as they stand (--quotes yes"]),
    ),
    (
        "stray quotes between commas",
        b"ann,\"live one,3\nbob,plain,2\ncid,other,4\ndee,\"live two,1\neve,plain,2\n",
        "",
        Reads(STRAY, &["comma-separated", "2 fields begin with a quote", "--quotes"]),
    ),
    (
        "stray quotes between semicolons",
        b"ann;\"live one;3\nbob;plain;2\ncid;other;4\ndee;\"live two;1\neve;plain;2\n",
        "",
        Reads(STRAY, &["semicolon-separated"]),
    ),
    (
        "stray quotes between bars, CRLF",
        b"ann|\"live one|3\r\nbob|plain|2\r\ncid|other|4\r\ndee|\"live two|1\r\neve|plain|2\r\n",
        "",
        Reads(STRAY, &["\"|\"-separated"]),
    ),
    (
        "stray quotes between carets",
        b"ann^\"live one^3\nbob^plain^2\ncid^other^4\ndee^\"live two^1\neve^plain^2\n",
        "--delimiter ^",
        Reads(STRAY, &["\"^\"-separated"]),
    ),
    (
        "stray quotes between double colons",
        b"ann::\"live one::3\nbob::plain::2\ncid::other::4\ndee::\"live two::1\neve::plain::2\n",
        "",
        Reads(STRAY, &["\"::\"-separated"]),
    ),
    (
        "a stray quote on the last line",
        b"user,item,rating\nann,x,3\nbob,\"y,2",
        "",
        Reads(&["ann|x|3", "bob|\"y|2"], &["1 field begins with a quote"]),
    ),
    (
        "a quote that only another line closes, though both are ratings",
        b"user,item,rating\nann,\"x,3\nbob,y\",2\n",
        "",
        Reads(&["ann|\"x|3", "bob|y\"|2"], &["1 field begins"]),
    ),
    (
        "the same under quotes yes",
        b"user,item,rating\nann,\"x,3\nbob,y\",2\n",
        "--quotes yes",
        Reads(&["ann|x,3\nbob,y|2"], &["quoted"]),
    ),
    ("text after a closing quote", b"ann,\"A\" b,3\nbob,c,1\n", "", Reads(&["ann|\"A\" b|3", "bob|c|1"], &[])),
    ("quotes inside", b"ann,6\" pipe,3\nbob,say \"c\",1\n", "", Reads(&["ann|6\" pipe|3", "bob|say \"c\"|1"], &[])),
    (
        "quoted commas, doubled quotes",
        b"user,item,rating\nann,\"a, b\",3\n\"bob\",\"say \"\"c\"\"\",\"1\"\n",
        "",
        Reads(&["ann|a, b|3", "bob|say \"c\"|1"], &["header"]),
    ),
    (
        "a field of several lines",
        b"user,item,rating\r\nann,\"a\r\nb\",3\r\nbob,c,1\r\n",
        "",
        Reads(&["ann|a\r\nb|3", "bob|c|1"], &[]),
    ),
    (
        "a review of several lines beside stray quotes",
        b"user,item,rating,review\nann,x,3,\"good, \"\"very\"\"\n\n1,2,3\nbuy it\"\nbob,\"y,2,fine\ncid,z,1,\"no, no\"\n",
        "",
        Reads(&["ann|x|3", "bob|\"y|2", "cid|z|1"], &["1 field begins"]),
    ),
    (
        "two columns, one of several lines",
        b"user,item\nann,\"two\nlines\"\nbob,x\n",
        "",
        Reads(&["ann|two\nlines|1", "bob|x|1"], &[]),
    ),
    (
        "quotes around all between tabs, as R writes",
        b"\"user\"\t\"item\"\t\"rating\"\n\"ann\"\t\"x\"\t3\n\"bob\"\t\"y\"\t2\n",
        "",
        Reads(&["ann|x|3", "bob|y|2"], &["header, columns user,item,rating"]),
    ),
    (
        "doubled quotes between tabs",
        b"ann\t\"say \"\"x\"\"\"\t3\nbob\ty\t2\n",
        "",
        Reads(&["ann|say \"x\"|3", "bob|y|2"], &[]),
    ),
    (
        "titles in quotes between tabs are titles",
        b"ann\t\"Heroes\"\t3\nbob\tHeroes\t2\n",
        "",
        Reads(&["ann|\"Heroes\"|3", "bob|Heroes|2"], &["--quotes yes takes them off"]),
    ),
    ("unless they are asked for", b"ann\t\"Heroes\"\t3\nbob\tLow\t2\n", "--quotes yes", Reads(&["ann|Heroes|3", "bob|Low|2"], &[])),
    ("no quotes", b"ann,\"x\",3\nbob,y,2\n", "--quotes no", Reads(&["ann|\"x\"|3", "bob|y|2"], &[])),
    ("no quotes, a comma inside", b"ann,\"x, y\",3\nbob,y,2\n", "--quotes no", Refused(&["f:2: 3 fields where 4 are needed"])),
    ("quotes yes, open", b"ann,\"x,3\nbob,y,2\n", "--quotes yes", Refused(&["f:1: a quote is not closed", "--quotes no"])),
    ("quotes yes, glued", b"ann,\"x\" y,3\nbob,y,2\n", "--quotes yes", Refused(&["f:1: text follows a closing quote"])),
    ("an open quote in a line that is too short", b"user,item,rating\nann,x,3\nbob,\"y\n", "", Refused(&["f:3: 2 fields", "--quotes no"])),
    ("grouped with quotes", b"ann,\"x, y\",z\nbob,\"w,v\n", "--format grouped", Reads(&["ann|x, y|1", "ann|z|1", "bob|\"w|1", "bob|v|1"], &["grouped"])),
];

/// Encodings, line ends, marks.
pub const TEXT: &[Case] = &[
    (
        "CR alone",
        b"user,item,rating\ra,x,3\rb,y,4\r",
        "",
        Reads(&["a|x|3", "b|y|4"], &["lines end in CR"]),
    ),
    ("CR alone, without the last", b"a\tx\t3\rb\ty\t4", "", Reads(&["a|x|3", "b|y|4"], &["CR"])),
    (
        "CR alone, LF at the end",
        b"a,x,3\rb,y,4\rc,z,5\r\n",
        "",
        Reads(&["a|x|3", "b|y|4", "c|z|5"], &["CR"]),
    ),
    ("CR CR LF", b"a,x,3\r\r\nb,y,4\r\r\n", "", Reads(&["a|x|3", "b|y|4"], &[])),
    (
        "a CR in an id",
        b"user,item,rating\na,x,3\nb,y\rz,4\nc,x,1\n",
        "",
        Refused(&["f:3: ", "carriage return"]),
    ),
    (
        "Latin-1",
        b"u,i,r\n1,Caf\xe9,3\n",
        "",
        Reads(&["1|Caf\u{e9}|3"], &["windows-1252", "--encoding"]),
    ),
    (
        "Windows-1252",
        b"u,i,r\n1,\x93Caf\xe9\x94,3\n",
        "",
        Reads(&["1|\u{201c}Caf\u{e9}\u{201d}|3"], &["windows-1252"]),
    ),
    (
        "Latin-1, said",
        b"u,i,r\n1,Caf\xe9,3\n",
        "--encoding latin1",
        Reads(&["1|Caf\u{e9}|3"], &["windows-1252"]),
    ),
    (
        "UTF-8, said, and it is not",
        b"u,i,r\n1,Caf\xe9,3\n",
        "--encoding utf-8",
        Refused(&["f:2: ", "not UTF-8", "--encoding"]),
    ),
    (
        "UTF-8, then not",
        b"u,i,r\n1,Caf\xc3\xa9,3\n2,Caf\xe9,3\n",
        "",
        Refused(&["f:3: ", "not UTF-8", "--encoding"]),
    ),
    (
        "Latin-1 in a column that nobody needs",
        b"user,item,rating,note\n1,x,3,\xe9\n2,y,4,\xe8\n",
        "",
        Reads(&["1|x|3", "2|y|4"], &[]),
    ),
    (
        "Shift JIS, said",
        b"u,i,r\n1,\x93\xfa\x96{,3\n",
        "--encoding shift_jis",
        Reads(&["1|\u{65e5}\u{672c}|3"], &["shift_jis"]),
    ),
    (
        "an encoding that a file is not in",
        b"u,i,r\n1,\xff\xff,3\n",
        "--encoding shift_jis",
        Refused(&["not shift_jis", "--encoding"]),
    ),
    (
        "Excel's Unicode text",
        b"\xff\xfeu\0s\0e\0r\0\t\0i\0t\0e\0m\0\t\0r\0\r\0\n\0a\0\t\0\xe9\0\t\x003\0\r\0\n\0",
        "--columns user,item,r",
        Reads(&["a|\u{e9}|3"], &["utf-16le", "tab-separated"]),
    ),
    (
        "UTF-16, the other way round",
        b"\xfe\xff\0u\0,\0i\0\n\0a\0,\0x\0\n\0b\0,\0y\0\n",
        "--header yes",
        Reads(&["a|x|1", "b|y|1"], &["utf-16be"]),
    ),
    (
        "UTF-16 without a mark",
        b"u\0,\0i\0\n\0a\0,\0x\0\n\0b\0,\0y\0\n\0",
        "",
        Refused(&["UTF-16", "--encoding utf-16le"]),
    ),
    (
        "UTF-16 without a mark, said",
        b"u\0,\0i\0\n\0a\0,\0x\0\n\0b\0,\0y\0\n\0",
        "--encoding utf-16le --header yes",
        Reads(&["a|x|1", "b|y|1"], &[]),
    ),
    ("UTF-16 cut", b"\xff\xfea\0,\0x\0,\x003\0\n", "", Refused(&["not utf-16le"])),
    ("UTF-32", b"\xff\xfe\0\0a\0\0\0,\0\0\0", "", Refused(&["UTF-32", "iconv"])),
    ("a mark", b"\xef\xbb\xbfuser,item,rating\na,x,3\n", "", Reads(&["a|x|3"], &["header"])),
    ("two marks", b"\xef\xbb\xbf\xef\xbb\xbfa,x,3\nb,y,4\n", "", Reads(&["a|x|3", "b|y|4"], &[])),
    (
        "a mark inside a joined file",
        b"\xef\xbb\xbfuser,item,rating\na,x,3\n\xef\xbb\xbfb,y,4\n",
        "",
        Reads(&["a|x|3", "b|y|4"], &[]),
    ),
    (
        "a mark inside, none before",
        b"a,x,3\n\xef\xbb\xbfa,y,4\n",
        "",
        Reads(&["a|x|3", "a|y|4"], &[]),
    ),
    ("NUL at the beginning", b"\0\0\0\0\x01\x02,3,4\n", "", Refused(&["is not text", "NUL"])),
    ("NUL in an id", b"a,x,3\nb,y\0z,4\n", "", Refused(&["NUL"])),
    ("escape characters", b"a,x,3\nb,y,\x1b[31mred\n", "", Refused(&["f:2: ", "[31mred"])),
];

/// Files that hold no ratings, or hold them otherwise than in text with delimiters.
pub const FORMATS: &[Case] = &[
    ("Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "", Refused(&["f: is a Git LFS pointer", "git lfs pull"])),
    ("git-annex", b"/annex/objects/SHA256E-s12--4d7a.csv\n", "", Refused(&["git-annex", "git annex get"])),
    ("HTML", b"<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n", "", Refused(&["a page of HTML", "download"])),
    ("HTML, otherwise", b"\n  <html lang=\"en\">\n<head><title>404, not found</title>\n", "", Refused(&["a page of HTML"])),
    ("XML", b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n", "", Refused(&["XML"])),
    ("Parquet", b"PAR1\x15\x04\x15\0\x15\x80\x01LL\0\0", "", Refused(&["a Parquet file", "duckdb"])),
    ("Arrow", b"ARROW1\0\0\xff\xff\xff\xff\0\0\0\0", "", Refused(&["an Arrow file", "read_feather"])),
    ("Excel", b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml", "", Refused(&["an Excel workbook", "read_excel"])),
    ("old Excel", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "", Refused(&["an Excel workbook"])),
    ("npz", b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0data.npy\x93NUMPY", "", Refused(&["NumPy", "load_npz"])),
    ("zip", b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0ratings.csvuser,item", "", Refused(&["a ZIP archive", "unzip -p"])),
    ("npy", b"\x93NUMPY\x01\0v\0{'descr': '<f8'}", "", Refused(&["a NumPy array", "numpy.load"])),
    ("HDF5", b"\x89HDF\r\n\x1a\n\0\0\0\0", "", Refused(&["an HDF5 file", "read_hdf"])),
    ("SQLite", b"SQLite format 3\0\x10\0\x01\x01", "", Refused(&["an SQLite database", "sqlite3"])),
    ("pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "", Refused(&["a pickle"])),
    ("xz", b"\xfd7zXZ\0\0\x04", "", Refused(&["xz -dc"])),
    ("bzip2", b"BZh91AY&SY\x80\0\0", "", Refused(&["bzip2 -dc"])),
    ("a PDF", b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n", "", Refused(&["a PDF"])),
    ("ARFF", b"@RELATION ratings\n@ATTRIBUTE user NUMERIC\n@DATA\n1,2,3\n", "", Refused(&["an ARFF file"])),
    ("JSON lines", b"{\"user\":\"a\",\"item\":\"x\",\"rating\":3}\n{\"rating\":4.5,\"item\":7,\"user\":\"b \\\"c\\\"\"}\n", "", Reads(&["a|x|3", "b \"c\"|7|4.5"], &["JSON lines, keys user,item,rating"])),
    ("JSON lines of two keys", b"{\"user_id\":1,\"movie_id\":2}\n\n{\"user_id\":3,\"movie_id\":4}\n", "", Reads(&["1|2|1", "3|4|1"], &["no column of ratings"])),
    ("JSON lines of large numbers", b"{\"user\":12345678901234567890123,\"item\":1,\"rating\":\"5\"}\n{\"user\":12345678901234567890124,\"item\":1,\"rating\":4}\n", "", Reads(&["12345678901234567890123|1|5", "12345678901234567890124|1|4"], &[])),
    ("JSON lines, keys said", b"{\"who\":\"a\",\"what\":\"x\",\"n\":3,\"more\":{\"a\":[1]}}\n", "--columns who,what,n", Reads(&["a|x|3"], &["keys who,what,n"])),
    ("JSON lines, truth values", b"{\"user\":\"a\",\"item\":\"x\",\"rating\":true}\n{\"user\":\"b\",\"item\":\"x\",\"rating\":false}\n", "", Reads(&["a|x|1", "b|x|0"], &[])),
    ("JSON lines with letters escaped", b"{\"user\":\"a\\u00e9\",\"item\":\"x\",\"rating\":1}\n", "", Reads(&["a\u{e9}|x|1"], &[])),
    ("JSON arrays", b"[\"a\",\"x\",3]\n[\"b\",\"y\",4]\n", "", Reads(&["a|x|3", "b|y|4"], &["JSON lines, arrays"])),
    ("JSON, keys unknown", b"{\"who\":\"a\",\"what\":\"x\"}\n", "", Refused(&["f:1: ", "who, what", "--columns"])),
    ("JSON, an item missing", b"{\"user\":\"a\",\"item\":\"x\"}\n{\"user\":\"b\"}\n", "", Refused(&["f:2: ", "item", "empty"])),
    ("JSON, an item null", b"{\"user\":\"a\",\"item\":\"x\"}\n{\"user\":\"b\",\"item\":null}\n", "", Refused(&["f:2: ", "item", "empty"])),
    ("JSON, an item nested", b"{\"user\":\"a\",\"item\":{\"id\":1}}\n", "", Refused(&["f:1: ", "item", "an object"])),
    ("JSON, a line cut", b"{\"user\":\"a\",\"item\":\"x\"}\n{\"user\":\"b\",\"it\n", "", Refused(&["f:2: is not JSON"])),
    ("JSON, pretty", b"{\n  \"user\": \"a\"\n}\n", "", Refused(&["is not JSON", "jq -c"])),
    ("JSON, one array", b"[{\"user\":\"a\",\"item\":\"x\"},\n {\"user\":\"b\",\"item\":\"y\"}]\n", "", Refused(&["f:1: ", "jq -c '.[]'"])),
    ("JSON, one array on a line", b"[{\"user\":\"a\",\"item\":\"x\"},{\"user\":\"b\",\"item\":\"y\"}]\n", "", Refused(&["f:1: ", "jq -c '.[]'"])),
    ("Python's dictionaries", b"{'user': 'a', 'item': 'x'}\n", "", Refused(&["f:1: is not JSON", "single"])),
    ("Matrix Market", b"%%MatrixMarket matrix coordinate real general\n% remark\n3 4 3\n1 1 5\n3 2 4.5\n2 4 1\n", "", Reads(&["1|1|5", "2|4|1", "3|2|4.5"], &["Matrix Market"])),
    ("Matrix Market, integers", b"%%matrixmarket Matrix Coordinate Integer General\n3 4 1\n 1   4 5 \n", "", Reads(&["1|4|5"], &[])),
    ("Matrix Market, a pattern", b"%%MatrixMarket matrix coordinate pattern general\n3 4 2\n1 1\n3 2\n", "", Reads(&["1|1|1", "3|2|1"], &[])),
    ("Matrix Market, turned", b"%%MatrixMarket matrix coordinate real general\n3 4 1\n1 4 5\n", "--columns 2,1,3", Refused(&["row", "\"4\""])),
    ("Matrix Market, symmetric", b"%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n1 1 5\n", "", Refused(&["f:1: ", "symmetric", "general"])),
    ("Matrix Market, an array", b"%%MatrixMarket matrix array real general\n2 1\n1\n5\n", "", Refused(&["f:1: ", "array"])),
    ("Matrix Market, too few entries", b"%%MatrixMarket matrix coordinate real general\n3 4 3\n1 1 5\n", "", Refused(&["1 entries", "3", "complete"])),
    ("Matrix Market, outside", b"%%MatrixMarket matrix coordinate real general\n3 4 2\n1 1 5\n3 5 1\n", "", Refused(&["column \"5\"", "1 to 4"])),
    ("Matrix Market, from 0", b"%%MatrixMarket matrix coordinate real general\n3 4 2\n0 1 5\n2 1 1\n", "", Refused(&["row \"0\"", "1 to 3"])),
    ("Matrix Market, no sizes", b"%%MatrixMarket matrix coordinate real general\nx y\n", "", Refused(&["f:2: ", "sizes"])),
];

/// Delimiters, headers, columns.
pub const LAYOUTS: &[Case] = &[
    (
        "a header of which one name is known",
        b"shopper,sku\nann,x\nbob,y\n",
        "",
        Reads(&["ann|x|1", "bob|y|1"], &["header, columns shopper,sku"]),
    ),
    (
        "a header without digits above ids with digits",
        b"who,what\nu1,i7\nu2,i9\n",
        "",
        Reads(&["u1|i7|1", "u2|i9|1"], &["header, columns who,what", "--columns"]),
    ),
    (
        "a header that cannot be told",
        b"who,what\nann,x\nbob,y\n",
        "",
        Reads(&["ann|x|1", "bob|y|1", "who|what|1"], &["\"who,what\"", "--header yes"]),
    ),
    (
        "a header that is told",
        b"who,what\nann,x\nbob,y\n",
        "--header yes",
        Reads(&["ann|x|1", "bob|y|1"], &[]),
    ),
    (
        "names of which none is known",
        b"who,what,how\nann,x,3\nbob,y,4\n",
        "",
        Reads(&["ann|x|3", "bob|y|4"], &["by position", "--columns"]),
    ),
    (
        "a header again, without ratings",
        b"user,item\nann,x\nuser,item\nbob,y\n",
        "",
        Refused(&["f:3: ", "repeats the header"]),
    ),
    (
        "a header again",
        b"user,item,rating\nann,x,3\nuser,item,rating\nbob,y,4\n",
        "",
        Refused(&["f:3: ", "\"rating\" is not a number"]),
    ),
    (
        "no column of ratings",
        b"user,item,note\nann,x,good\n",
        "",
        Reads(&["ann|x|1"], &["no column of ratings", "--columns"]),
    ),
    (
        "an item that is a list",
        b"ann\t10,20,30\nbob\t11,12\n",
        "",
        Refused(&["f:1: ", "\"10,20,30\"", "--columns 1,2", "--format grouped"]),
    ),
    (
        "the same, said",
        b"ann\t10,20,30\nbob\t11,12\n",
        "--columns 1,2",
        Reads(&["ann|10,20,30|1", "bob|11,12|1"], &[]),
    ),
    (
        "an item that is a list in brackets",
        b"ann;[10, 20]\nbob;[3]\n",
        "",
        Refused(&["\"[10, 20]\""]),
    ),
    (
        "a header above lists",
        b"user\titem\nann\t10 20 30\nbob\t11\n",
        "",
        Refused(&["\"10 20 30\""]),
    ),
    (
        "a title with a comma is no list",
        b"ann\tPapers, Please\nbob\t1,2,3 Go\n",
        "",
        Reads(&["ann|Papers, Please|1", "bob|1,2,3 Go|1"], &[]),
    ),
    (
        "six columns",
        b"1,1,1,1,5,2000-07-12\n2,1,1,2,4,2000-07-13\n2,3,7,5,3,2000-07-14\n",
        "",
        Refused(&["f:1: 6 fields and no header", "1,1,1,1,5,2000-07-12", "--columns"]),
    ),
    (
        "six columns, said",
        b"1,1,1,1,5,2000-07-12\n2,1,1,2,4,2000-07-13\n",
        "--columns 1,4,5",
        Reads(&["1|1|5", "2|2|4"], &[]),
    ),
    (
        "six numbers",
        b"1\t2\t3\t4\t5\t6\n2\t3\t4\t5\t6\t7\n",
        "",
        Refused(&["f:1: 6 fields", "--columns"]),
    ),
    (
        "five names of which none is known",
        b"a,b,c,d,e\n1,2,3,4,5\n",
        "",
        Refused(&["f:1: 5 fields", "none is known", "--columns"]),
    ),
    (
        "a dense matrix of twenty columns",
        b"5,3,0,1,4,0,0,2,1,1,5,3,0,1,4,0,0,2,1,1\n4,0,0,1,1,2,3,4,5,0,4,0,0,1,1,2,3,4,5,0\n",
        "",
        Refused(&["f:1: 20 fields"]),
    ),
    (
        "a dense matrix of reals",
        b"2,-7.8,8.8,99\n3,1.5,2.5,-9.7\n1,99,99,4\n",
        "",
        Refused(&["f:1: ", "matrix", "--columns"]),
    ),
    (
        "a dense matrix of four stars",
        b"5,3,0,1\n4,0,0,1\n1,1,0,5\n5,3,4,4\n",
        "",
        Refused(&["matrix", "--columns"]),
    ),
    (
        "ids that pandas made fractions of",
        b"1.0,7.0,4.5\n2.0,8.0,3\n",
        "",
        Reads(&["1.0|7.0|4.5", "2.0|8.0|3"], &[]),
    ),
    (
        "negatives of an evaluation",
        b"(0,5)\t12\t10\t41\t61\n(1,4)\t22\t20\t31\t51\n",
        "",
        Refused(&["f:1: ", "\"(0,5)\""]),
    ),
    ("negatives, few", b"(0,5)\t12\t10\n(1,4)\t22\t20\n", "", Refused(&["f:1: ", "\"(0,5)\""])),
    (
        "users and items, recognised",
        b"0 11 12 13 14 15\n1 11 13\n2 12 14 16 11\n",
        "",
        Reads(
            &[
                "0|11|1", "0|12|1", "0|13|1", "0|14|1", "0|15|1", "1|11|1", "1|13|1", "2|11|1",
                "2|12|1", "2|14|1", "2|16|1",
            ],
            &["grouped by user", "--format triples"],
        ),
    ),
    (
        "users and items between commas",
        b"0,11,12,13,14\n1,11\n2,12,14\n",
        "",
        Reads(
            &["0|11|1", "0|12|1", "0|13|1", "0|14|1", "1|11|1", "2|12|1", "2|14|1"],
            &["grouped by user"],
        ),
    ),
    (
        "users and items of text",
        b"ann x y z w v\nbob x\n",
        "",
        Refused(&["f:1: ", "--format grouped"]),
    ),
    (
        "users and items of text, said",
        b"ann x y z w v\nbob x\n",
        "--format grouped",
        Reads(&["ann|v|1", "ann|w|1", "ann|x|1", "ann|y|1", "ann|z|1", "bob|x|1"], &[]),
    ),
    (
        "a user, a colon, items",
        b"1:1 2 3\n2:4 5\n3:1 6 2\n",
        "--format grouped",
        Refused(&["f:1: ", "\"1:1\"", "colon"]),
    ),
    (
        "a user, a colon, items, unsaid",
        b"1: 1 2 3\n2: 4 5\n3: 1 6 2\n",
        "",
        Refused(&["f:1: ", "\"1:\"", "colon"]),
    ),
    ("svmlight", b"5 1:1 20:1\n3 2:1 21:1\n", "", Refused(&["f:1: ", "svmlight"])),
    (
        "counts first",
        b"3 7 8 9\n2 7 5\n2 8 4\n1 6\n",
        "--format grouped",
        Refused(&["f:1: ", "number of ids that follow"]),
    ),
    (
        "counts first, unsaid",
        b"3 7 8 9\n2 7 5\n2 8 4\n1 6\n",
        "",
        Refused(&["f:1: ", "number of ids that follow"]),
    ),
    (
        "a short line",
        b"1,2,3\n1,3\n2,2,4\n",
        "",
        Refused(&[
            "f:2: 2 fields where 3 are needed",
            "--columns",
            "--format grouped",
            "--bad-rows skip",
        ]),
    ),
    (
        "a long line",
        b"1,2,3\n1,3,4,5\n2,2,4\n",
        "",
        Refused(&["f:2: more than the 3 fields", "--columns", "--bad-rows skip"]),
    ),
    (
        "the delimiter named on the first line",
        b"sep=;\nuser;item;rating\nann;x;3\n",
        "",
        Reads(&["ann|x|3"], &["semicolon-separated, header"]),
    ),
    (
        "remarks",
        b"# a graph, undirected\n# Nodes: 3 Edges: 2\n1\t2\n2\t3\n",
        "",
        Reads(&["1|2|1", "2|3|1"], &["tab-separated"]),
    ),
    (
        "a remark that names the columns",
        b"# item user rating\nx ann 3\ny bob 4\n",
        "",
        Reads(&["ann|x|3", "bob|y|4"], &["header, columns user,item,rating"]),
    ),
    (
        "remarks of KONECT",
        b"% bip weighted\n% 2 2 2\n1 2 5\n2 1 4\n",
        "",
        Reads(&["1|2|5", "2|1|4"], &[]),
    ),
    (
        "a decimal comma",
        b"user;item;rating\nann;x;4,5\n",
        "",
        Refused(&["f:2: ", "\"4,5\"", "--decimal \",\""]),
    ),
    (
        "a decimal comma in quotes",
        b"user,item,rating\nann,x,\"4,5\"\n",
        "",
        Refused(&["f:2: ", "--decimal \",\""]),
    ),
    (
        "a decimal comma, said",
        b"user;item;rating\nann;x;4,5\nbob;y;3\n",
        "--decimal ,",
        Reads(&["ann|x|4.5", "bob|y|3"], &[]),
    ),
    (
        "a decimal point though a comma was said",
        b"user;item;rating\nann;x;1.234,5\n",
        "--decimal ,",
        Refused(&["f:2: ", "--decimal"]),
    ),
];

/// Lines and values that are left out.
pub const LEFT_OUT: &[Case] = &[
    ("bad rows", b"user,item,rating\na,x,3\nb\nc,y,bad\n,z,1\nd,z,4\ne,v,5\nf,w,1\n", "--bad-rows skip", Reads(&["a|x|3", "d|z|4", "e|v|5", "f|w|1"], &["3 lines passed over", "line 3: ", "line 4: ", "line 5: "])),
    ("more bad rows than good", b"user,item,rating\na,x,3\nb\nc,y,bad\n", "--bad-rows skip", Refused(&["more lines cannot be read than can", "line 3: "])),
    ("bad rows between quotes", b"user,item,rating\na,\"x, y\",3\nb,\"y\nc,z,4\n", "--bad-rows skip", Reads(&["a|x, y|3", "c|z|4"], &["1 line passed over (line 3: "])),
    ("bad rows of JSON", b"{\"user\":1,\"item\":2,\"rating\":3}\n{\"user\":1,\"item\":3,\"rating\":\"x\"}\n{\"user\":2,\"item\":2,\"rating\":3}\n", "--bad-rows skip", Reads(&["1|2|3", "2|2|3"], &["1 line passed over (line 2: "])),
    ("bad UTF-8", b"u,i,r\n1,\xc3\xa9,3\n2,\xe9,3\n3,x,4\n", "--bad-rows skip", Reads(&["1|\u{e9}|3", "3|x|4"], &["1 line passed over"])),
    ("zeros that mean nothing", b"a,x,0\nb,x,3\nc,x,4\nd,x,0\ne,x,5\nf,x,1\ng,x,0\nh,x,2\ni,x,3\nj,x,4\n", "--drop-value 0", Reads(&["b|x|3", "c|x|4", "e|x|5", "f|x|1", "h|x|2", "i|x|3", "j|x|4"], &["3 left out by value"])),
    ("zeros that may mean nothing", b"a,x,0\nb,x,3\nc,x,4\nd,x,0\ne,x,5\nf,x,1\ng,x,0\nh,x,2\ni,x,3\nj,x,4\n", "", Reads(&["a|x|0", "b|x|3", "c|x|4", "d|x|0", "e|x|5", "f|x|1", "g|x|0", "h|x|2", "i|x|3", "j|x|4"], &["0 stands apart", "30 %", "--drop-value 0"])),
    ("several values", b"a,x,-1\nb,x,3\nc,x,99\n", "--drop-value -1 --drop-value 99", Reads(&["b|x|3"], &["2 left out by value"])),
    ("bounds", b"a,x,-1\nb,x,3\nc,x,99\n", "--min-rating 0 --max-rating 5", Reads(&["b|x|3"], &["2 left out by value"])),
    ("bounds that leave nothing", b"a,x,1\nb,x,3\n", "--min-rating 9", Refused(&["--min-rating", "leave out"])),
    ("bounds upside down", b"a,x,1\nb,x,3\n", "--min-rating 9 --max-rating 1", Refused(&["--min-rating 9 is above --max-rating 1"])),
];
