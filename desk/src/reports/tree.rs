//! What the strokes on the pages mean: headings, tables, pictures, in reading order, for whoever listens to a report
//! instead of looking at it.

/// A piece of an element.
pub(super) enum Kid {
    /// Another element.
    Element(usize),
    /// What is drawn between marks `mark` on a sheet.
    Marked {
        /// Which sheet, in the order in which they were begun.
        sheet: usize,
        /// Which of the sheet's marks.
        mark: usize,
    },
}

/// A heading, a paragraph, a table's cell and so on.
pub(super) struct Element {
    /// A standard structure type, such as `H1`.
    pub(super) role: &'static str,
    pub(super) parent: usize,
    pub(super) kids: Vec<Kid>,
    /// Said instead of a picture.
    pub(super) alt: Option<String>,
    /// What a header cell is the header of: `Row` or `Column`.
    pub(super) scope: Option<&'static str>,
}

/// All elements; the first is the document.
pub(super) struct Tree {
    pub(super) elements: Vec<Element>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            elements: vec![Element { role: "Document", parent: 0, kids: Vec::new(), alt: None, scope: None }],
        }
    }

    /// The document itself.
    #[allow(clippy::unused_self, reason = "reads as what it is where it is used")]
    pub(super) const fn root(&self) -> usize {
        0
    }

    /// Adds an element behind the others in `parent`.
    pub(super) fn add(&mut self, parent: usize, role: &'static str) -> usize {
        let id = self.elements.len();
        self.elements.push(Element { role, parent, kids: Vec::new(), alt: None, scope: None });
        self.give(parent, Kid::Element(id));
        id
    }

    /// What is said instead of a picture.
    pub(super) fn describe(&mut self, element: usize, alt: String) {
        if let Some(element) = self.elements.get_mut(element) {
            element.alt = Some(alt);
        }
    }

    /// Adds a header cell, of a `Row` or a `Column`.
    pub(super) fn add_header(&mut self, parent: usize, scope: &'static str) -> usize {
        let id = self.add(parent, "TH");
        if let Some(element) = self.elements.get_mut(id) {
            element.scope = Some(scope);
        }
        id
    }

    pub(super) fn give(&mut self, element: usize, kid: Kid) {
        if let Some(element) = self.elements.get_mut(element) {
            element.kids.push(kid);
        }
    }
}
