"""Pillow and reportlab at the work of desk/benches/work.rs. Usage: pillow.py PHOTO.jpg DISPLAY.jpg; without DISPLAY.jpg it
draws PHOTO.jpg: 12 megapixels, about 10 MB."""

import io
import random
import statistics
import sys
import time

from PIL import Image, ImageOps

TIMES = 15


def line(name, peer, work):
    taken = []
    for _ in range(TIMES):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    print(f"{name}\t{peer}\t{statistics.median(taken) * 1000:.1f}\tms")


def draw(path):
    width, height = 4000, 3000
    noise = Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))
    shapes = Image.linear_gradient("L").resize((width, height))
    image = Image.blend(Image.merge("RGB", [shapes, ImageOps.flip(shapes), ImageOps.mirror(shapes)]), noise, 0.22)
    image.save(path, quality=90, subsampling="4:2:0")


def photo(path):
    image = Image.open(path)
    image.draft("RGB", (1600, 1200))
    image = ImageOps.exif_transpose(image)
    image.thumbnail((1600, 1200), Image.Resampling.BICUBIC)
    image.save(io.BytesIO(), "JPEG", quality=82, subsampling="4:2:0")
    image.thumbnail((320, 240), Image.Resampling.BICUBIC)
    image.save(io.BytesIO(), "JPEG", quality=82, subsampling="4:2:0")


def report(display):
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Image as Picture
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    parts = [Paragraph("Incident report 042-2026-000017-K7", styles["Title"])]
    rows = [["Store", "042 Downtown"], ["Category", "Vandalism"], ["Severity", "3 of 5"], ["Status", "submitted"]]
    parts += [Table(rows), Spacer(1, 12)]
    parts.append(Paragraph("The window beside the entrance was broken overnight. " * 10, styles["Normal"]))
    for n in range(10):
        parts.append(Picture(display, 240, 180))
        parts.append(Paragraph(f"Aisle {n + 1}, from the entrance", styles["Normal"]))
    SimpleDocTemplate(io.BytesIO(), pagesize=A4).build(parts)


if len(sys.argv) == 2:
    draw(sys.argv[1])
else:
    line("photo to 1600x1200 and 320x240, processor", "Pillow", lambda: photo(sys.argv[1]))
    report(sys.argv[2])
    line("report with 10 photos, processor", "reportlab", lambda: report(sys.argv[2]))
