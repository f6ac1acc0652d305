//! Incidents as an archive of their reports, one PDF each.

use crate::error::Error;
use bytes::Bytes;
use std::io::{self, Write};
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A report and its name, without an end.
pub type Entry = (String, Bytes);

/// Writes the archive of the entries that come, as they come.
///
/// # Errors
/// [`Error::Fault`] where it cannot be written, or nobody takes it any more.
pub fn archive(mut entries: mpsc::Receiver<Entry>, out: mpsc::Sender<Result<Bytes, Error>>) -> Result<(), Error> {
    let fault = |error: &dyn std::fmt::Display| Error::Fault(format!("writing an archive: {error}"));
    let mut archive = ZipWriter::new_stream(Out(out));
    // A PDF is compressed inside.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    while let Some((name, pdf)) = entries.blocking_recv() {
        archive.start_file(format!("{name}.pdf"), options).map_err(|error| fault(&error))?;
        archive.write_all(&pdf).map_err(|error| fault(&error))?;
    }
    let mut out = archive.finish().map_err(|error| fault(&error))?.into_inner();
    out.flush().map_err(|error| fault(&error))
}

struct Out(mpsc::Sender<Result<Bytes, Error>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
