//! A book as the bytes of a PDF: printpdf writes pages and fonts, and what it has no words for (language, structure,
//! fixed identifiers) is added to its document before that is written.

use super::RenderError;
use super::book::{Book, Bookmark, font_id, image_id};
use super::style::Face;
use super::tree::Kid;
use chassis::clock::format_rfc3339;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use lopdf::{Dictionary, Document, Object, ObjectId, Stream, StringFormat, dictionary};
use printpdf::{
    DictItem, ExternalStream, ExternalXObject, PdfDocument, PdfFont, PdfPage, PdfSaveOptions, Pt, Rect, XObject,
};
use std::collections::BTreeMap;
use std::io::Write as _;

/// What a document says of itself.
pub(super) struct About {
    pub(super) title: String,
    pub(super) author: String,
    pub(super) subject: String,
    /// Milliseconds since 1970.
    pub(super) made_at_ms: i64,
}

const PRODUCER: &str = "A.I.ncident";
const LANGUAGE: &str = "en";
/// Of 9: beyond it bytes become few and time much.
const LEVEL: u32 = 4;

type Objects = Result<Vec<u8>, RenderError>;

/// Puts a book together.
pub(super) fn bind(book: Book, about: &About) -> Objects {
    let failed = |error: &dyn std::fmt::Display| RenderError::Binding(error.to_string());
    let mut book = book;
    let mut pdf = PdfDocument::new(&about.title);
    for (face, used) in [(Face::Regular, &book.regular), (Face::Bold, &book.bold)] {
        let font = book.faces.cut(face, used.iter().copied())?;
        pdf.resources.fonts.map.insert(font_id(face), PdfFont::new(font));
    }
    for (at, image) in book.images.iter().enumerate() {
        let name = |name: &str| DictItem::Name(name.as_bytes().to_vec());
        let colours = if image.components == 1 { "DeviceGray" } else { "DeviceRGB" };
        let dict = BTreeMap::from([
            ("Type".to_owned(), name("XObject")),
            ("Subtype".to_owned(), name("Image")),
            ("Width".to_owned(), DictItem::Int(i64::from(image.width))),
            ("Height".to_owned(), DictItem::Int(i64::from(image.height))),
            ("ColorSpace".to_owned(), name(colours)),
            ("BitsPerComponent".to_owned(), DictItem::Int(8)),
            ("Filter".to_owned(), name("DCTDecode")),
        ]);
        // The bytes follow below: here they would be copied once more.
        let stream = ExternalStream { dict, content: Vec::new(), compress: false };
        let object = ExternalXObject { stream, width: None, height: None, dpi: None };
        pdf.resources.xobjects.map.insert(image_id(at), XObject::External(object));
    }
    let (width, height) = book.paper.size();
    let area = Rect::from_wh(Pt(width), Pt(height));
    for sheet in &book.order {
        let ops = book.sheets.get_mut(*sheet).map(|sheet| std::mem::take(&mut sheet.ops)).unwrap_or_default();
        pdf.pages
            .push(PdfPage { media_box: area.clone(), trim_box: area.clone(), crop_box: area.clone(), ops });
    }
    let mut document = pdf.to_lopdf_document(&PdfSaveOptions::default(), &mut Vec::new());
    drop(pdf);

    document.version = "1.7".to_owned();
    let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
    fill_images(&mut document, &book, &pages).map_err(|error| failed(&error))?;
    add_boxes(&mut document, &book, &pages).map_err(|error| failed(&error))?;
    let structure = structure(&mut document, &book, &pages);
    let outlines = outlines(&mut document, &book, &pages);
    let metadata = document.add_object(metadata(about));
    let catalog = document.catalog_mut().map_err(|error| failed(&error))?;
    catalog.set("Lang", Object::string_literal(LANGUAGE));
    catalog.set("ViewerPreferences", dictionary! { "DisplayDocTitle" => true });
    catalog.set("MarkInfo", dictionary! { "Marked" => true });
    catalog.set("StructTreeRoot", structure);
    catalog.set("Metadata", metadata);
    if let Some(outlines) = outlines {
        catalog.set("Outlines", outlines);
    }
    if book.order.len() > 1 {
        catalog.set("PageMode", Object::Name(b"UseOutlines".to_vec()));
    }
    let info = document.add_object(info(about));
    document.trailer.set("Info", info);
    compress(&mut document).map_err(|error| failed(&error))?;
    identify(&mut document, &book, about);
    let mut bytes = Vec::with_capacity(64 * 1024 + book.images.iter().map(|image| image.jpeg.len()).sum::<usize>());
    document.save_to(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// The list of the fonts (`Font`) or images (`XObject`) of all pages: they share one.
fn shared(document: &Document, pages: &[ObjectId], kind: &[u8]) -> Result<ObjectId, lopdf::Error> {
    let page = pages.first().ok_or(lopdf::Error::PageNumberNotFound(1))?;
    let resources = document.get_dictionary(*page)?.get(b"Resources")?.as_reference()?;
    document.get_dictionary(resources)?.get(kind)?.as_reference()
}

/// The fonts whose glyphs are boxes, beside the others.
fn add_boxes(document: &mut Document, book: &Book, pages: &[ObjectId]) -> Result<(), lopdf::Error> {
    let list = shared(document, pages, b"Font")?;
    for (name, font) in book.boxes.bind(document) {
        document.get_dictionary_mut(list)?.set(name.0, font);
    }
    Ok(())
}

/// The photos' bytes, as they are.
fn fill_images(document: &mut Document, book: &Book, pages: &[ObjectId]) -> Result<(), lopdf::Error> {
    let list = shared(document, pages, b"XObject")?;
    let list = document.get_dictionary(list)?.clone();
    for (at, image) in book.images.iter().enumerate() {
        let id = list.get(image_id(at).0.as_bytes())?.as_reference()?;
        let stream = document.get_object_mut(id)?.as_stream_mut()?;
        stream.set_content(image.jpeg.to_vec());
    }
    Ok(())
}

/// The tree of what the pages' marks mean.
fn structure(document: &mut Document, book: &Book, pages: &[ObjectId]) -> ObjectId {
    let root = document.new_object_id();
    let ids: Vec<ObjectId> = book.tree.elements.iter().map(|_| document.new_object_id()).collect();
    let id = |element: usize| ids.get(element).copied().unwrap_or(root);
    // Sheets may be bound in another order than the one in which they were begun.
    let page_of: BTreeMap<usize, ObjectId> = book.order.iter().copied().zip(pages.iter().copied()).collect();
    for (at, element) in book.tree.elements.iter().enumerate() {
        let kids = element.kids.iter().filter_map(|kid| match kid {
            Kid::Element(child) => Some(Object::Reference(id(*child))),
            Kid::Marked { sheet, mark } => Some(Object::Dictionary(dictionary! {
                "Type" => "MCR",
                "Pg" => *page_of.get(sheet)?,
                "MCID" => integer(*mark),
            })),
        });
        let parent = if at == 0 { root } else { id(element.parent) };
        let mut entry = dictionary! {
            "Type" => "StructElem",
            "S" => element.role,
            "P" => parent,
            "K" => kids.collect::<Vec<_>>(),
        };
        if let Some(alt) = &element.alt {
            entry.set("Alt", unicode(alt));
        }
        if let Some(scope) = element.scope {
            entry.set("A", dictionary! { "O" => "Table", "Scope" => scope });
        }
        document.set_object(id(at), entry);
    }
    let mut numbers = Vec::new();
    for (page, (sheet, page_id)) in page_of.iter().enumerate() {
        let marks = book.sheets.get(*sheet).map(|sheet| sheet.marks.as_slice()).unwrap_or_default();
        let owners = marks.iter().map(|element| Object::Reference(id(*element))).collect();
        numbers.extend([integer(page), Object::Array(owners)]);
        if let Ok(dictionary) = document.get_dictionary_mut(*page_id) {
            dictionary.set("StructParents", integer(page));
            dictionary.set("Tabs", "S");
        }
    }
    let next = integer(page_of.len());
    let numbers = document.add_object(dictionary! { "Nums" => numbers });
    document.set_object(
        root,
        dictionary! {
            "Type" => "StructTreeRoot",
            "K" => vec![Object::Reference(id(0))],
            "ParentTree" => numbers,
            "ParentTreeNextKey" => next,
        },
    );
    root
}

/// The contents that a viewer shows beside the pages.
fn outlines(document: &mut Document, book: &Book, pages: &[ObjectId]) -> Option<ObjectId> {
    let place_of: BTreeMap<usize, usize> =
        book.order.iter().enumerate().map(|(place, sheet)| (*sheet, place)).collect();
    let mut marks: Vec<(usize, &Bookmark)> =
        book.bookmarks.iter().filter_map(|mark| Some((*place_of.get(&mark.sheet)?, mark))).collect();
    marks.sort_by_key(|(place, _)| *place);
    let root = document.new_object_id();
    let entries: Vec<(ObjectId, Dictionary)> = marks
        .into_iter()
        .filter_map(|(place, mark)| {
            let target: Vec<Object> = vec![
                (*pages.get(place)?).into(),
                Object::Name(b"XYZ".to_vec()),
                Object::Null,
                Object::Real(mark.y),
                Object::Null,
            ];
            let entry = dictionary! { "Parent" => root, "Title" => unicode(&mark.title), "Dest" => target };
            Some((document.new_object_id(), entry))
        })
        .collect();
    let ids: Vec<ObjectId> = entries.iter().map(|(id, _)| *id).collect();
    for (at, (id, mut entry)) in entries.into_iter().enumerate() {
        if let Some(previous) = at.checked_sub(1).and_then(|at| ids.get(at)) {
            entry.set("Prev", *previous);
        }
        if let Some(next) = ids.get(at + 1) {
            entry.set("Next", *next);
        }
        document.set_object(id, entry);
    }
    let count = integer(ids.len());
    let list = dictionary! { "Type" => "Outlines", "First" => *ids.first()?, "Last" => *ids.last()?, "Count" => count };
    document.set_object(root, list);
    Some(root)
}

fn info(about: &About) -> Dictionary {
    let at = pdf_date(about.made_at_ms);
    dictionary! {
        "Title" => unicode(&about.title),
        "Author" => unicode(&about.author),
        "Subject" => unicode(&about.subject),
        "Creator" => unicode(PRODUCER),
        "Producer" => unicode(PRODUCER),
        "CreationDate" => Object::string_literal(at.clone()),
        "ModDate" => Object::string_literal(at),
    }
}

/// The same once more, as newer programs read it.
fn metadata(about: &About) -> Stream {
    let at = format_rfc3339(about.made_at_ms);
    let (title, author, subject) = (xml(&about.title), xml(&about.author), xml(&about.subject));
    let packet = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmlns:pdf=\"http://ns.adobe.com/pdf/1.3/\">\n\
         <dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">{title}</rdf:li></rdf:Alt></dc:title>\n\
         <dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>\n\
         <dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">{subject}</rdf:li></rdf:Alt></dc:description>\n\
         <dc:language><rdf:Bag><rdf:li>{LANGUAGE}</rdf:li></rdf:Bag></dc:language>\n\
         <dc:format>application/pdf</dc:format><xmp:CreatorTool>{PRODUCER}</xmp:CreatorTool>\n\
         <xmp:CreateDate>{at}</xmp:CreateDate><xmp:ModifyDate>{at}</xmp:ModifyDate><pdf:Producer>{PRODUCER}</pdf:Producer>\n\
         </rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>"
    );
    // Left as it is: programs look for it without reading the PDF around it.
    let dict = dictionary! { "Type" => "Metadata", "Subtype" => "XML" };
    Stream::new(dict, packet.into_bytes()).with_compression(false)
}

/// Streams without a filter get one. Faster than the library's own, which takes the time for the last few bytes.
fn compress(document: &mut Document) -> std::io::Result<()> {
    for object in document.objects.values_mut() {
        let Object::Stream(stream) = object else { continue };
        // What is short gains nothing.
        if !stream.allows_compression || stream.dict.has(b"Filter") || stream.content.len() < 128 {
            continue;
        }
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(stream.content.len() / 2), Compression::new(LEVEL));
        encoder.write_all(&stream.content)?;
        let content = encoder.finish()?;
        stream.dict.set("Filter", "FlateDecode");
        stream.set_content(content);
    }
    Ok(())
}

/// The same bytes for the same report: the identifier is a digest of what the document says instead of a random number.
fn identify(document: &mut Document, book: &Book, about: &About) {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&u64::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        hasher.update(bytes);
    };
    for text in [&about.title, &about.author, &about.subject, &about.made_at_ms.to_string()] {
        part(text.as_bytes());
    }
    for alt in book.tree.elements.iter().filter_map(|element| element.alt.as_ref()) {
        part(alt.as_bytes());
    }
    for object in document.objects.values() {
        match object {
            // Photos are told apart by their hashes, which stand on the pages.
            Object::Stream(stream) if stream.dict.has(b"Width") => part(&stream.content.len().to_le_bytes()),
            Object::Stream(stream) => part(&stream.content),
            _ => {}
        }
    }
    let digest = hasher.finalize().as_bytes().get(..16).unwrap_or_default().to_vec();
    let id = Object::String(digest, StringFormat::Hexadecimal);
    document.trailer.set("ID", vec![id.clone(), id]);
}

fn integer(number: usize) -> Object {
    Object::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn unicode(text: &str) -> Object {
    Object::String(utf16(text), StringFormat::Hexadecimal)
}

/// Text as PDF has it outside of pages: UTF-16, high byte first, behind a mark that says so.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
}

/// `D:20260102030405Z`.
fn pdf_date(ms: i64) -> String {
    let digits: String = format_rfc3339(ms).chars().filter(char::is_ascii_digit).take(14).collect();
    format!("D:{digits}Z")
}

/// Text for XML, without what XML cannot hold at all.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => out.push(' '),
        }
    }
    out
}
