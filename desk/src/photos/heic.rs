//! Pictures as iPhones take them (HEIC), opened in a process of their own.
//!
//! The decoder is young, and what it opens is hostile until proven otherwise: the size that a header names need not be the size
//! of what is in it. So the program starts itself again as a child that does this one thing, with its memory and its time
//! bounded by the system; whatever becomes of the child, the photo is kept and the site goes on.
//!
//! The child gets the file as its standard input and answers with a [`Told`] in JSON on a line of its own, then the bytes that
//! this announces: EXIF, colour profile and, where they were asked for, pixels.

use super::header::{self, Inspection, Verdict};
use super::pixels::{Kind, Pixels};
use chassis::memory;
use heic_rs::context::Context;
use heic_rs::{DecodeOptions, PixelLayout};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// The child's first argument.
const WORD: &str = "open-heic";
/// The program itself, wherever it lies by now.
const PROGRAM: &str = "/proc/self/exe";
/// Most memory of the child, in bytes.
const MOST_MEMORY: u64 = 320 * 1024 * 1024;
/// Most of the child's time on a processor, in seconds.
const MOST_CPU_S: u64 = 20;
/// Most children at once: each takes as much memory as a picture may.
static CHILDREN: Semaphore = Semaphore::const_new(1);
/// How long the parent waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a picture takes while it is decoded, in bytes a pixel: its planes in the child, its colours there and here.
const PIXEL_BYTES: u64 = 13;
/// Most pixels: with more the child would not have the memory. Phones make 12 or 24 million, unless told otherwise.
const MOST_PIXELS: u64 = 25_000_000;
/// Longest line of the answer.
const MOST_LINE: u64 = 4096;
/// Most metadata of a kind.
const MOST_METADATA: usize = 4 * 1024 * 1024;

/// What the child says of a picture.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    width: u32,
    height: u32,
    exif_bytes: usize,
    profile_bytes: usize,
    pixel_bytes: usize,
    /// Why there is nothing to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What the child said, and the bytes that it announced: EXIF, colour profile, pixels.
type Answer = (Told, Vec<u8>, Vec<u8>, Vec<u8>);
/// The same in the child, before it is said.
type Found<'a> = (Told, &'a [u8], &'a [u8], Vec<u8>);

/// Opens pictures of this kind, in programs that can start themselves again.
#[derive(Clone, Copy, Debug)]
pub struct Opener(());

impl Opener {
    /// For a program whose `main` begins with [`child`].
    #[must_use]
    pub const fn of_this_program() -> Self {
        Self(())
    }

    /// What the headers of the file `path` say, instead of what `found` says.
    ///
    /// # Errors
    /// When the file or the child cannot be started on.
    pub(super) async fn inspect(self, path: &Path, found: Inspection) -> io::Result<Inspection> {
        let (told, exif, _, _) = match self.ask(path, "look").await? {
            Ok(answer) => answer,
            Err(why) => return Ok(Inspection { verdict: Verdict::Undecodable(why), ..found }),
        };
        let pixels = u64::from(told.width) * u64::from(told.height);
        // It is turned as its own properties say, and EXIF repeats that or is wrong.
        let (_, taken) = header::told_by_camera(exif);
        let verdict = if pixels > MOST_PIXELS {
            Verdict::Undecodable(format!(
                "a HEIC picture of {} by {} pixels is too large to be shown here; send it as a JPEG to have it shown",
                told.width, told.height
            ))
        } else {
            Verdict::Decodable
        };
        Ok(Inspection {
            width: Some(told.width),
            height: Some(told.height),
            taken,
            orientation: 1,
            cost_bytes: pixels * PIXEL_BYTES,
            verdict,
            ..found
        })
    }

    /// The pixels of the file `path`, upright, and the colour profile they are meant in.
    ///
    /// # Errors
    /// As [`Opener::inspect`]; inside, why there is nothing to show.
    pub(super) async fn decode(self, path: &Path) -> io::Result<Result<(Pixels, Option<Vec<u8>>), String>> {
        Ok(self.ask(path, "show").await?.map(|(told, _, profile, data)| {
            let pixels = Pixels { kind: Kind::Rgb, width: told.width, height: told.height, data };
            (pixels, Some(profile).filter(|profile| !profile.is_empty()))
        }))
    }

    async fn ask(self, path: &Path, what: &str) -> io::Result<Result<Answer, String>> {
        let _turn = CHILDREN.acquire().await.map_err(io::Error::other)?;
        let path = path.to_owned();
        let file = chassis::heavy::run(move || File::open(path)).await.map_err(io::Error::other)??;
        let mut child = Command::new(PROGRAM)
            .args([WORD, what])
            .env_clear()
            .envs([memory::ONLY_WHAT_IS_USED])
            .stdin(Stdio::from(file))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let answer = tokio::time::timeout(PATIENCE, answer(&mut child)).await;
        // It has nothing more to say, or nobody who listens.
        child.kill().await?;
        Ok(match answer {
            Ok(Ok((Told { why: Some(why), .. }, ..))) => Err(why),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a HEIC picture ended the program that opened it");
                Err("the picture is damaged, or takes too much memory to be shown".to_owned())
            }
            Err(_) => Err("the picture takes too long to be shown".to_owned()),
        })
    }
}

async fn answer(child: &mut Child) -> io::Result<Answer> {
    let out = child.stdout.take().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
    let mut out = BufReader::with_capacity(64 * 1024, out);
    let mut line = String::new();
    (&mut out).take(MOST_LINE).read_line(&mut line).await?;
    let told: Told = serde_json::from_str(&line)?;
    // The child is no more to be trusted than the file.
    let pixels = usize::try_from(u64::from(told.width) * u64::from(told.height) * 3).unwrap_or(usize::MAX);
    let fits = told.exif_bytes <= MOST_METADATA
        && told.profile_bytes <= MOST_METADATA
        && (told.pixel_bytes == 0 || told.pixel_bytes == pixels)
        && told.pixel_bytes as u64 <= MOST_PIXELS * 3;
    if !fits {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (mut exif, mut profile) = (vec![0; told.exif_bytes], vec![0; told.profile_bytes]);
    let mut data = vec![0; told.pixel_bytes];
    for part in [&mut exif, &mut profile, &mut data] {
        out.read_exact(part).await?;
    }
    Ok((told, exif, profile, data))
}

/// The child's part: where this process is one, opens what is in its standard input, and answers its exit code.
#[must_use]
pub fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let with_pixels = arguments.next().is_some_and(|what| what == "show");
    let done = bound().and_then(|()| open(with_pixels));
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the system end this process when it takes too much.
fn bound() -> io::Result<()> {
    let most = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Data, most(MOST_MEMORY))?;
    setrlimit(Resource::Cpu, most(MOST_CPU_S))?;
    setrlimit(Resource::Core, most(0))?;
    // It has its file and its answer, and opens nothing else.
    setrlimit(Resource::Nofile, most(3))?;
    Ok(())
}

fn open(with_pixels: bool) -> io::Result<()> {
    let mut file = Vec::new();
    io::stdin().lock().take(super::MAX_PHOTO_BYTES).read_to_end(&mut file)?;
    let mut out = io::stdout().lock();
    match parts(&file, with_pixels) {
        Ok((told, exif, profile, pixels)) => {
            serde_json::to_writer(&mut out, &told)?;
            out.write_all(b"\n")?;
            for part in [exif, profile, pixels.as_slice()] {
                out.write_all(part)?;
            }
        }
        Err(error) => {
            tracing::debug!(%error, "no picture");
            let why = match error {
                heic_rs::Error::Unsupported(_) => "this version cannot show HEIC pictures of this kind",
                _ => "the picture is damaged",
            };
            serde_json::to_writer(&mut out, &Told { why: Some(why.to_owned()), ..Told::default() })?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()
}

fn parts(file: &[u8], with_pixels: bool) -> heic_rs::Result<Found<'_>> {
    let about = heic_rs::probe(file)?;
    let context = Context::open(file)?;
    let properties = context.props(about.primary_item)?;
    let short = |part: Option<&'_ [u8]>| part.filter(|part| part.len() <= MOST_METADATA).map_or(0, <[u8]>::len);
    // What the camera says beside the picture may be damaged without harm to it.
    let exif = context.exif(about.primary_item).unwrap_or_default();
    let exif = &exif.unwrap_or_default()[..short(exif)];
    let profile = context.icc(&properties);
    let profile = profile.map_or(&[] as &[u8], |whole| &whole[..short(profile)]);
    let (mut width, mut height, mut pixels) = (about.width, about.height, Vec::new());
    // Bound before anything is decoded; the system's bound stands behind it.
    if with_pixels && u64::from(width) * u64::from(height) <= MOST_PIXELS {
        let options = DecodeOptions::default()
            .with_layout(PixelLayout::Rgb8)
            .with_max_pixels(Some(MOST_PIXELS))
            .with_threads(Some(1));
        let image = heic_rs::decode(file, &options)?;
        (width, height, pixels) = (image.width, image.height, image.data);
    }
    let told = Told {
        width,
        height,
        exif_bytes: exif.len(),
        profile_bytes: profile.len(),
        pixel_bytes: pixels.len(),
        why: None,
    };
    Ok((told, exif, profile, pixels))
}
