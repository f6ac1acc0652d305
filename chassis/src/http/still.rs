//! Connections that stand still: what nobody uses any more is closed, and whoever takes nothing of an answer is cut. A connection over
//! which there is nothing to send (a long poll, an event stream) is neither.

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Fewer bytes than these between two looks are no answer that moves: HTTP/2 also asks whether the other side is there.
const LEAST_BYTES: u64 = 1024;

/// What goes on over one connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Requests that are being answered.
    answering: AtomicUsize,
    /// Requests that came, and answers that ended.
    steps: AtomicU64,
    /// Pieces of answers that were handed over, and those of them behind which nobody has asked for the next one yet.
    pieces: AtomicU64,
    waiting: AtomicUsize,
    written_bytes: AtomicU64,
}

impl Traffic {
    /// Whether there was any request.
    pub(super) fn has_begun(&self) -> bool {
        self.steps.load(Ordering::Relaxed) > 0
    }

    /// A request comes.
    pub(super) fn begin(self: &Arc<Self>) -> Turn {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
        Turn { of: Arc::clone(self) }
    }
}

/// A request, until its answer has ended.
#[derive(Debug)]
pub(super) struct Turn {
    of: Arc<Traffic>,
}

impl Turn {
    /// The answer's body, which the request ends with.
    pub(super) fn ends_with(self, body: Body) -> Answer {
        let mut answer = Answer { body, turn: self, waits: false };
        // Its head; where no more may be sent for now, nobody asks for the body at all.
        answer.handed_over();
        answer
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.steps.fetch_add(1, Ordering::Relaxed);
        self.of.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, counted.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    turn: Turn,
    /// A piece was handed over, and nobody asked for the next one yet.
    waits: bool,
}

impl Answer {
    fn handed_over(&mut self) {
        self.waits = true;
        self.turn.of.pieces.fetch_add(1, Ordering::Relaxed);
        self.turn.of.waiting.fetch_add(1, Ordering::Relaxed);
    }

    fn goes_on(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.turn.of.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.goes_on();
        let piece = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if matches!(piece, Some(Ok(_))) {
            self.handed_over();
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.goes_on();
    }
}

/// What a look at a connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is used, or waits for something to send.
    Busy,
    /// Nothing was asked or sent since the last look.
    Idle,
    /// An answer is there, and was not taken any further since the last look.
    Stuck,
}

/// Looks at a connection now and then.
#[derive(Debug)]
pub(super) struct Watch {
    traffic: Arc<Traffic>,
    steps: u64,
    pieces: u64,
    written_bytes: u64,
}

impl Watch {
    /// At a connection that has just begun.
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic, steps: 0, pieces: 0, written_bytes: 0 }
    }

    /// What became of it since the last look.
    pub(super) fn look(&mut self) -> Seen {
        let now = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let traffic = &self.traffic;
        let (steps, pieces, written) = (now(&traffic.steps), now(&traffic.pieces), now(&traffic.written_bytes));
        let moves = steps != self.steps || pieces != self.pieces || written - self.written_bytes >= LEAST_BYTES;
        (self.steps, self.pieces, self.written_bytes) = (steps, pieces, written);
        if moves {
            Seen::Busy
        } else if traffic.answering.load(Ordering::Relaxed) == 0 {
            Seen::Idle
        } else if traffic.waiting.load(Ordering::Relaxed) > 0 {
            Seen::Stuck
        } else {
            Seen::Busy
        }
    }
}

/// A stream whose other end has to take something within `patience`, where there is something to take.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    traffic: Arc<Traffic>,
    /// Runs while a write waits.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration, traffic: Arc<Traffic>) -> Self {
        Self { stream, patience, traffic, until: None }
    }

    /// What was tried, or the end of patience.
    fn within<T>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.until = None;
            return tried;
        }
        let patience = self.patience;
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(until.as_mut().poll(cx));
        self.until = None;
        metrics::counter!("http_connections_closed_total", "why" => "stalled").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }

    fn wrote(&self, tried: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = tried {
            self.traffic.written_bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&tried);
        self.within(cx, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wrote(&tried);
        self.within(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_flush(cx);
        self.within(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within(cx, tried)
    }
}
