//! The charts: a panel for each row, with a bar for each server.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle};

use super::measures::served;
use super::record::Record;
use super::report;
use super::rows::{ROWS, Row, What, in_order, title_of};
use crate::measure::stats::Sample;

const COLUMNS: usize = 2;
/// The sizes, in pixels.
const PANEL: i32 = 560;
const LABELS: i32 = 200;
const NUMBERS: i32 = 60;
const BAR: i32 = 18;
const HEADING: i32 = 46;
const FOOT: i32 = 14;
const MARGIN: i32 = 16;

const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(150, 150, 150);

/// Families of servers, by how their names begin.
const COLOURS: [(&str, RGBColor); 5] = [
    ("netpoll", RGBColor(46, 139, 87)),
    ("tokio", RGBColor(70, 110, 190)),
    ("smol", RGBColor(220, 140, 50)),
    ("async-io", RGBColor(220, 140, 50)),
    ("go", RGBColor(0, 160, 190)),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The value of a row that a chart shows for a server.
type Figure = fn(&Record, &Row, &str) -> Option<Sample>;

struct Panel {
    title: &'static str,
    /// Where the baseline is, if the numbers are multiples of it.
    one: bool,
    bars: Vec<Bar>,
}

struct Bar {
    server: String,
    sample: Sample,
}

/// Draws all of them into a folder.
pub(super) fn draw_all(record: &Record, folder: &Path) -> io::Result<()> {
    let is_served = |row: &&Row| matches!(row.what, What::Served(_));
    let served: Vec<&Row> = ROWS.iter().filter(is_served).collect();
    let others: Vec<&Row> = ROWS.iter().filter(|row| !is_served(row)).collect();
    let apart: Vec<&Row> = ROWS.iter().filter(|row| row.has_latency()).collect();
    let p50: Figure = |record, row, server| record.sample(row.name, server, served::P50);
    let p99: Figure = |record, row, server| record.sample(row.name, server, served::P99);
    let p999: Figure = |record, row, server| record.sample(row.name, server, served::P999);
    let charts: [(&str, &str, &[&Row], Figure, bool); 5] = [
        (
            "processor-time.svg",
            "Processor time of the server for a request, as a multiple of the baseline's",
            &served,
            report::figure,
            true,
        ),
        ("latency-p50.svg", "Latency that the clients see, median, us", &apart, p50, false),
        ("latency-p99.svg", "Latency that the clients see, 99 of 100, us", &apart, p99, false),
        (
            "latency-p99.9.svg",
            "Latency that the clients see, 999 of 1,000, us",
            &apart,
            p999,
            false,
        ),
        ("others.svg", "Memory, deadlines, system calls", &others, report::figure, false),
    ];
    for (file, title, rows, figure, one) in charts {
        let panels: Vec<Panel> =
            rows.iter().filter_map(|row| panel(record, row, figure, one)).collect();
        if !panels.is_empty() {
            draw(&folder.join(file), title, &panels)
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
    }
    Ok(())
}

fn panel(record: &Record, row: &Row, figure: Figure, one: bool) -> Option<Panel> {
    let names = in_order(&record.servers(row.name)).into_iter();
    let bar = |server: &str| {
        Some(Bar { server: server.to_owned(), sample: figure(record, row, server)? })
    };
    let bars: Vec<Bar> = names.filter_map(bar).collect();
    (!bars.is_empty()).then_some(Panel { title: row.title, one, bars })
}

fn draw(file: &Path, title: &str, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let heights: Vec<i32> = panels.chunks(COLUMNS).map(height_of).collect();
    let width = PANEL * COLUMNS as i32 + 2 * MARGIN;
    let height = heights.iter().sum::<i32>() + HEADING + MARGIN;
    let root = SVGBackend::new(file, (width as u32, height as u32)).into_drawing_area();
    root.fill(&RGBColor(255, 255, 255))?;
    write(&root, title, (MARGIN, MARGIN), HPos::Left, 22, INK)?;
    let mut top = HEADING;
    for (panels, height) in panels.chunks(COLUMNS).zip(heights) {
        for (column, panel) in panels.iter().enumerate() {
            draw_panel(&root, panel, MARGIN + column as i32 * PANEL, top)?;
        }
        top += height;
    }
    root.present()?;
    Ok(())
}

fn height_of(panels: &[Panel]) -> i32 {
    let bars = panels.iter().map(|panel| panel.bars.len() as i32).max().unwrap_or(0);
    HEADING + bars * BAR + FOOT
}

fn draw_panel(root: &Area, panel: &Panel, left: i32, top: i32) -> Result<(), Box<dyn Error>> {
    let largest = panel.bars.iter().map(|bar| bar.sample.quantile(0.75)).fold(0.0, f64::max);
    let room = f64::from(PANEL - LABELS - NUMBERS - MARGIN);
    let start = left + LABELS;
    let place =
        |value: f64| start + (value.max(0.0) / largest.max(f64::MIN_POSITIVE) * room) as i32;
    write(root, panel.title, (left, top + BAR), HPos::Left, 18, INK)?;
    let first = top + HEADING;
    if panel.one {
        let (x, bottom) = (place(1.0), first + panel.bars.len() as i32 * BAR);
        root.draw(&PathElement::new(vec![(x, first - 4), (x, bottom + 2)], FAINT))?;
    }
    for (number, bar) in panel.bars.iter().enumerate() {
        draw_bar(root, bar, left, first + number as i32 * BAR, place)?;
    }
    Ok(())
}

fn draw_bar(
    root: &Area,
    bar: &Bar,
    left: i32,
    top: i32,
    place: impl Fn(f64) -> i32,
) -> Result<(), Box<dyn Error>> {
    let [low, median, high] = [0.25, 0.5, 0.75].map(|share| bar.sample.quantile(share));
    let middle = top + BAR / 2;
    write(root, title_of(&bar.server), (left + LABELS - 6, middle), HPos::Right, 15, INK)?;
    let corners = [(place(0.0), top + 2), (place(median), top + BAR - 2)];
    root.draw(&Rectangle::new(corners, colour_of(&bar.server).filled()))?;
    // The middle half of the rounds.
    root.draw(&PathElement::new(vec![(place(low), middle), (place(high), middle)], INK))?;
    let number = if median.abs() < 100.0 { format!("{median:.2}") } else { format!("{median:.0}") };
    write(root, &number, (place(high.max(median)) + 6, middle), HPos::Left, 15, INK)
}

fn write(
    root: &Area,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
    colour: RGBColor,
) -> Result<(), Box<dyn Error>> {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&colour);
    root.draw_text(text, &style.pos(Pos::new(side, VPos::Center)), at)?;
    Ok(())
}

fn colour_of(server: &str) -> RGBColor {
    let family = COLOURS.iter().find(|(family, _)| server.starts_with(family));
    family.map_or(FAINT, |(_, colour)| *colour)
}
