/* A timeline as a picture: one lane per task, in the order of their creation.
 *
 *                  0          50 ms        100 ms
 *     request-1    |#~~~~~ gather ~~~~~~~~~~#o      # runs, ~ waits, o has ended
 *     request-1 db   #~~~ sleep ~~~~~~~~~~~#o       arrows: who woke, or created, whom
 *
 * Steps are short beside the waits between them: they are drawn a few pixels wide at least, and
 * those that would cover each other become one bar. So a lane never has more bars than pixels,
 * however many steps it has. */
#include "trace/timeline.h"

#include <inttypes.h>

#include "trace/utf8.h"

enum {
    MAX_LANES = 1000, /* further ones are left out, and the picture says so */
    PLOT_WIDTH = 1040,
    MARGIN = 24,
    HEADER_HEIGHT = 88,
    AXIS_HEIGHT = 26,
    FOOTER_HEIGHT = 30,
    NAME_COLUMNS = 32, /* characters of a name that are shown */
    NAME_COLUMN_WIDTH = 7,
    MIN_RUN_WIDTH = 3,
    MIN_TICK_WIDTH = 84,
    END_RADIUS = 4,
};

static const double MERGE_GAP = 0.5;      /* bars that are closer become one */
static const double MIN_WAIT_WIDTH = 0.5; /* narrower waits disappear between the steps */

#define TEXT_COLOUR  "#0f172a"
#define FAINT_COLOUR "#64748b"
#define GRID_COLOUR  "#e2e8f0"
#define BAND_COLOUR  "#f8fafc"
#define WAKE_COLOUR  "#334155"
#define MAKE_COLOUR  "#94a3b8"

/* What can be in a lane, as the legend names it. The class of a bar and its colour. */
enum look {
    LOOK_RUN,
    LOOK_QUEUED,
    LOOK_SLEEP,
    LOOK_IO,
    LOOK_FUTURE,
    LOOK_OTHER,
    LOOKS,
};
static const struct {
    const char *class, *colour, *text;
    int width; /* of the text, about */
} looks[LOOKS] = {
    [LOOK_RUN] = { "run", "#1d4ed8", "runs", 28 },
    [LOOK_QUEUED] = { "queued", "#cbd5e1", "ready, queued", 76 },
    [LOOK_SLEEP] = { "sleep", "#fde68a", "sleeps", 38 },
    [LOOK_IO] = { "io", "#bbf7d0", "waits for I/O", 74 },
    [LOOK_FUTURE] = { "future", "#ddd6fe", "for a task or future", 110 },
    [LOOK_OTHER] = { "other", "#fbcfe8", "for something else", 100 },
};

struct picture {
    FILE *file;
    const struct coil__timeline *timeline;
    int32_t lanes;                   /* that are shown */
    double left, top, width, height; /* of the part with the lanes */
    double pitch;                    /* from lane to lane */
    double run_height, wait_height;
    int64_t total_ns;
};

/* A bar that may still grow to the right. */
struct bar {
    double from, to;
    const struct coil__step *first, *last; /* first is NULL: no bar */
    int64_t ran_ns;
};

static void write_picture(FILE *file, const struct coil__timeline *timeline);
static struct picture lay_out(FILE *file, const struct coil__timeline *timeline);
static double pitch_for(int32_t lanes);
static void put_head(const struct picture *picture);
static void put_legend(const struct picture *picture);
static void put_time_axis(const struct picture *picture);
static void put_names(const struct picture *picture);
static void put_band(const struct picture *picture, int32_t first, int32_t last);
static void put_creations(const struct picture *picture);
static void put_lane(const struct picture *picture, int32_t number);
static void put_waits(const struct picture *picture, int32_t number);
static void put_runs(const struct picture *picture, int32_t number);
static void put_run(const struct picture *picture, const struct bar *bar);
static void put_wake_ups(const struct picture *picture);
static void put_ends(const struct picture *picture);
static void put_end(FILE *file, unsigned how, double x, double y, double radius);
static void put_text(FILE *file, const char *text, int columns);
static void put_duration(FILE *file, int64_t ns);
static int columns_of(const char *text);

int coil_timeline_write_svg(coil_tracer *tracer, const char *path)
{
    return coil__timeline_write(tracer, path, write_picture);
}

static void write_picture(FILE *file, const struct coil__timeline *timeline)
{
    struct picture picture = lay_out(file, timeline);
    put_head(&picture);
    put_legend(&picture);
    put_names(&picture);
    put_time_axis(&picture);
    put_creations(&picture);
    for (int32_t i = 0; i < picture.lanes; i++)
        put_lane(&picture, i);
    put_wake_ups(&picture);
    put_ends(&picture);
    fputs("</svg>\n", file);
}

/* ---- where things go ------------------------------------------------------------------------- */

static struct picture lay_out(FILE *file, const struct coil__timeline *timeline)
{
    struct picture picture = { .file = file, .timeline = timeline };
    picture.lanes = (int32_t)(timeline->lane_count < MAX_LANES ? timeline->lane_count : MAX_LANES);
    picture.pitch = pitch_for(picture.lanes);
    picture.run_height = picture.pitch * 0.66;
    picture.wait_height = picture.pitch * (picture.pitch >= 20 ? 0.54 : 0.46);

    int columns = 8;
    for (int32_t i = 0; i < picture.lanes; i++) {
        int wanted = columns_of(timeline->lanes[i].name);
        columns = wanted > columns ? wanted : columns;
    }
    if (columns > NAME_COLUMNS)
        columns = NAME_COLUMNS;
    picture.left = MARGIN + columns * NAME_COLUMN_WIDTH + 12;
    picture.top = HEADER_HEIGHT + AXIS_HEIGHT;
    picture.width = PLOT_WIDTH;
    picture.height = picture.pitch * (picture.lanes ? picture.lanes : 1);
    picture.total_ns = timeline->last_ns > 1000 ? timeline->last_ns : 1000;
    return picture;
}

/* Lanes are as high as is pleasant while there are few. */
static double pitch_for(int32_t lanes)
{
    static const struct {
        int32_t lanes;
        double pitch;
    } steps[] = { { 30, 26 }, { 60, 20 }, { 120, 14 }, { 250, 9 }, { 500, 7 } };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (lanes <= steps[i].lanes)
            return steps[i].pitch;
    }
    return 5;
}

static double x_of(const struct picture *picture, int64_t ns)
{
    return picture->left + picture->width * (double)ns / (double)picture->total_ns;
}

/* The middle of a lane. */
static double y_of(const struct picture *picture, int32_t lane)
{
    return picture->top + picture->pitch * (lane + 0.5);
}

/* ---- around the lanes ------------------------------------------------------------------------ */

static void put_head(const struct picture *picture)
{
    const struct coil__timeline *timeline = picture->timeline;
    FILE *file = picture->file;
    double width = picture->left + picture->width + MARGIN + 8;
    double height = picture->top + picture->height + FOOTER_HEIGHT;

    fprintf(
        file,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%.0f\" height=\"%.0f\""
        " viewBox=\"0 0 %.0f %.0f\">\n"
        "<title>Coil timeline</title>\n"
        "<style type=\"text/css\">\n"
        "text { font-family: 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif;"
        " font-size: 12px; fill: " TEXT_COLOUR "; }\n"
        ".faint { font-size: 11px; fill: " FAINT_COLOUR "; }\n"
        ".small { font-size: 9.5px; fill: #334155; }\n"
        ".wake { fill: none; stroke: " WAKE_COLOUR "; stroke-width: 1.1; }\n"
        ".make { fill: none; stroke: " MAKE_COLOUR "; stroke-dasharray: 2 2;"
        " stroke-opacity: %s; }\n"
        ".grid { stroke: " GRID_COLOUR "; }\n"
        ".lane:hover rect { opacity: 0.75; }\n",
        width, height, width, height, picture->pitch >= 14 ? "1" : "0.5");
    for (int i = 0; i < LOOKS; i++)
        fprintf(file, ".%s { fill: %s; }\n", looks[i].class, looks[i].colour);
    fprintf(
        file,
        "</style>\n"
        "<defs><marker id=\"tip\" viewBox=\"0 0 6 6\" refX=\"5.5\" refY=\"3\" markerWidth=\"%g\""
        " markerHeight=\"%g\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">"
        "<path d=\"M0 0 L6 3 L0 6 z\" fill=\"" WAKE_COLOUR "\"/></marker></defs>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
        picture->pitch >= 14 ? 6.0 : 4.0, picture->pitch >= 14 ? 6.0 : 4.0);

    fprintf(
        file,
        "<text x=\"%d\" y=\"32\" style=\"font-size:17px;font-weight:bold\">Coil timeline</text>\n"
        "<text x=\"%d\" y=\"32\" class=\"faint\">%zu task%s, %zu step%s, ",
        MARGIN, MARGIN + 130, timeline->lane_count, timeline->lane_count == 1 ? "" : "s",
        timeline->step_count, timeline->step_count == 1 ? "" : "s");
    put_duration(file, timeline->last_ns);
    if (timeline->incomplete)
        fputs("; incomplete: there was no memory for what came then", file);
    if ((size_t)picture->lanes < timeline->lane_count)
        fprintf(file, "; the first %d tasks are shown", (int)picture->lanes);
    fputs("</text>\n", file);
}

static void put_legend(const struct picture *picture)
{
    static const struct {
        unsigned how;
        int width;
    } ends[] = { { COIL_STEP_DONE, 28 }, { COIL_STEP_FAILED, 30 }, { COIL_STEP_CANCELLED, 52 } };
    FILE *file = picture->file;
    double x = MARGIN, y = 60;

    fputs("<g>\n", file);
    for (int i = 0; i < LOOKS; i++) {
        fprintf(file,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"11\" rx=\"2\"/>"
                "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                looks[i].class, x, y - 9, x + 19, y, looks[i].text);
        x += 19 + looks[i].width + 16;
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        put_end(file, ends[i].how, x + 4, y - 3.5, END_RADIUS);
        fprintf(file, "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 13, y,
                coil__step_end_name(ends[i].how));
        x += 13 + ends[i].width + 16;
    }
    fprintf(file,
            "<path class=\"wake\" d=\"M%.1f %.1f h16\" marker-end=\"url(#tip)\"/>"
            "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\">wakes</text>\n"
            "<path class=\"make\" d=\"M%.1f %.1f h16\"/>"
            "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\">creates</text>\n</g>\n",
            x, y - 3.5, x + 21, y, x + 71, y - 3.5, x + 92, y);
}

/* The smallest of 1, 2, 5, 10, 20... nanoseconds that leaves the labels room. */
static int64_t tick_ns(const struct picture *picture)
{
    int64_t power = 1;
    for (;; power *= 10) {
        static const int steps[] = { 1, 2, 5 };
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            int64_t tick = steps[i] * power;
            if (picture->width * (double)tick >= MIN_TICK_WIDTH * (double)picture->total_ns)
                return tick;
        }
    }
}

/* One unit for the whole axis, with as many digits as the ticks need. */
static void put_time_axis(const struct picture *picture)
{
    static const struct {
        int64_t ns;
        const char *name;
    } units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "\302\265s" } };
    int64_t tick = tick_ns(picture), total = picture->total_ns;
    size_t unit = total >= units[0].ns ? 0 : total >= units[1].ns ? 1 : 2;
    int digits = 0;
    for (int64_t ns = units[unit].ns; ns > tick; ns /= 10)
        digits++;

    FILE *file = picture->file;
    double bottom = picture->top + picture->height;
    for (int64_t ns = 0; ns <= total; ns += tick) {
        double x = x_of(picture, ns), value = (double)ns / (double)units[unit].ns;
        fprintf(file,
                "<path class=\"grid\" d=\"M%.2f %.1f V%.1f\"/>"
                "<text class=\"faint\" x=\"%.2f\" y=\"%.1f\" text-anchor=\"middle\">%.*f %s</text>",
                x, picture->top - 6, bottom, x, picture->top - 11, ns ? digits : 0, value,
                units[unit].name);
        fprintf(
            file,
            "<text class=\"faint\" x=\"%.2f\" y=\"%.1f\" text-anchor=\"middle\">%.*f %s</text>\n",
            x, bottom + 16, ns ? digits : 0, value, units[unit].name);
    }
}

/* Where lanes are lower than a line of text, only every second or third is named; the others say
 * their names when they are pointed at. */
static void put_names(const struct picture *picture)
{
    FILE *file = picture->file;
    int font = picture->pitch >= 20 ? 12 : 10;
    int every = 1;
    while (every * picture->pitch < font + 1)
        every++;

    for (int32_t i = 0; i < picture->lanes; i += 2 * every)
        put_band(picture, i, i + every < picture->lanes ? i + every : picture->lanes);
    for (int32_t i = 0; i < picture->lanes; i += every) {
        fprintf(file, "<text x=\"%d\" y=\"%.2f\" style=\"font-size:%dpx\">", MARGIN,
                y_of(picture, i) + font * 0.35, font);
        put_text(file, picture->timeline->lanes[i].name, NAME_COLUMNS);
        fputs("</text>\n", file);
    }
}

/* Behind the lanes from the first to before the last, so that the eye finds from the name to the
 * bars. */
static void put_band(const struct picture *picture, int32_t first, int32_t last)
{
    fprintf(picture->file,
            "<rect x=\"%d\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"" BAND_COLOUR "\"/>\n",
            MARGIN - 8, y_of(picture, first) - picture->pitch / 2,
            picture->left + picture->width - MARGIN + 16, picture->pitch * (last - first));
}

/* ---- lanes ----------------------------------------------------------------------------------- */

/* Dashed, and below everything else: from the task that made it to the beginning of a lane. */
static void put_creations(const struct picture *picture)
{
    for (int32_t i = 0; i < picture->lanes; i++) {
        const struct coil__lane *lane = &picture->timeline->lanes[i];
        if (lane->made_by == COIL__NO_LANE || lane->made_by >= picture->lanes)
            continue;
        fprintf(picture->file, "<path class=\"make\" d=\"M%.2f %.2f V%.2f\"/>\n",
                x_of(picture, lane->created_ns), y_of(picture, lane->made_by), y_of(picture, i));
    }
}

static void put_lane(const struct picture *picture, int32_t number)
{
    const struct coil__lane *lane = &picture->timeline->lanes[number];
    FILE *file = picture->file;
    fputs("<g class=\"lane\"><title>", file);
    put_text(file, lane->name, NAME_COLUMNS);
    fprintf(file, ": %" PRIu32 " step%s, %s</title>\n", lane->steps, lane->steps == 1 ? "" : "s",
            lane->ended_ns == COIL__OPEN ? "not ended" : coil__step_end_name(lane->how));
    put_waits(picture, number);
    put_runs(picture, number);
    fputs("</g>\n", file);
}

static enum look look_of_wait(unsigned kind)
{
    switch (kind) {
    case COIL_WAIT_SLEEP:
        return LOOK_SLEEP;
    case COIL_WAIT_IO:
        return LOOK_IO;
    case COIL_WAIT_FUTURE:
    case COIL_WAIT_TASK:
        return LOOK_FUTURE;
    default:
        return LOOK_OTHER;
    }
}

/* Opens a bar of the lane, which is not so wide that it could hide something: between the steps. */
static bool open_bar(const struct picture *picture, int32_t number, enum look look,
                     int64_t begin_ns, int64_t end_ns)
{
    double from = x_of(picture, begin_ns), width = x_of(picture, end_ns) - from;
    if (width < MIN_WAIT_WIDTH)
        return false;
    double height = look == LOOK_QUEUED ? picture->wait_height * 0.5 : picture->wait_height;
    fprintf(picture->file,
            "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\">",
            looks[look].class, from, y_of(picture, number) - height / 2, width, height);
    return true;
}

/* "sock_recv", "await request-1": what a step waits for in the end. */
static void put_awaited(const struct picture *picture, const struct coil__step *step)
{
    put_text(picture->file, step->operation, NAME_COLUMNS);
    if (step->awaited != COIL__NO_LANE) {
        fputc(' ', picture->file);
        put_text(picture->file, picture->timeline->lanes[step->awaited].name, NAME_COLUMNS);
    }
}

static int awaited_columns(const struct picture *picture, const struct coil__step *step)
{
    int columns = columns_of(step->operation);
    if (step->awaited != COIL__NO_LANE)
        columns += 1 + columns_of(picture->timeline->lanes[step->awaited].name);
    return columns;
}

/* The operation, in the bar, if it fits behind the step. */
static void put_wait_label(const struct picture *picture, const struct coil__step *step)
{
    double from = x_of(picture, step->end_ns) + MIN_RUN_WIDTH + 3;
    double to = x_of(picture, coil__wait_end_ns(picture->timeline, step));
    if (picture->pitch < 20 || to - from < awaited_columns(picture, step) * 5.8 + 4)
        return;
    fprintf(picture->file, "<text class=\"small\" x=\"%.2f\" y=\"%.2f\">", from,
            y_of(picture, step->lane) + 3.4);
    put_awaited(picture, step);
    fputs("</text>\n", picture->file);
}

static void put_waits(const struct picture *picture, int32_t number)
{
    const struct coil__timeline *timeline = picture->timeline;
    FILE *file = picture->file;
    for (const struct coil__step *step = timeline->lanes[number].first; step; step = step->next) {
        if (step->ready_ns != COIL__OPEN &&
            open_bar(picture, number, LOOK_QUEUED, step->ready_ns, step->begin_ns)) {
            fputs("<title>ready, queued for ", file);
            put_duration(file, step->begin_ns - step->ready_ns);
            fputs("</title></rect>\n", file);
        }
        if (step->end_ns == COIL__OPEN || step->how != COIL_STEP_WAITING)
            continue;
        int64_t until = coil__wait_end_ns(timeline, step);
        if (!open_bar(picture, number, look_of_wait(step->wait_kind), step->end_ns, until))
            continue;
        fputs("<title>", file);
        put_text(file, timeline->lanes[number].name, NAME_COLUMNS);
        fputs(" waits: ", file);
        put_awaited(picture, step);
        if (step->fd != COIL__NO_FD)
            fprintf(file, ", descriptor %d", (int)step->fd);
        fputs(", for ", file);
        put_duration(file, until - step->end_ns);
        fputs("</title></rect>\n", file);
        put_wait_label(picture, step);
    }
}

static void put_runs(const struct picture *picture, int32_t number)
{
    const struct coil__timeline *timeline = picture->timeline;
    struct bar bar = { .first = NULL };
    for (const struct coil__step *step = timeline->lanes[number].first; step; step = step->next) {
        int64_t end_ns = coil__step_end_ns(timeline, step);
        double from = x_of(picture, step->begin_ns), to = x_of(picture, end_ns);
        if (bar.first && from > bar.to + MERGE_GAP) {
            put_run(picture, &bar);
            bar.first = NULL;
        }
        if (!bar.first)
            bar = (struct bar){ .from = from, .first = step };
        bar.to = to > from + MIN_RUN_WIDTH ? to : from + MIN_RUN_WIDTH;
        bar.last = step;
        bar.ran_ns += end_ns - step->begin_ns;
    }
    if (bar.first)
        put_run(picture, &bar);
}

static void put_run(const struct picture *picture, const struct bar *bar)
{
    int32_t number = bar->first->lane;
    FILE *file = picture->file;
    fprintf(
        file,
        "<rect class=\"run\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" rx=\"1\"><title>",
        bar->from, y_of(picture, number) - picture->run_height / 2, bar->to - bar->from,
        picture->run_height);
    put_text(file, picture->timeline->lanes[number].name, NAME_COLUMNS);
    if (bar->first == bar->last)
        fprintf(file, " step %" PRIu32 ": ran ", bar->first->number);
    else
        fprintf(file, " steps %" PRIu32 " to %" PRIu32 ": ran ", bar->first->number,
                bar->last->number);
    put_duration(file, bar->ran_ns);
    fputs(", from ", file);
    put_duration(file, bar->first->begin_ns);
    fputs(" on", file);
    if (bar->last->end_ns != COIL__OPEN)
        fprintf(file, ", then %s", coil__step_end_name(bar->last->how));
    fputs("</title></rect>\n", file);
}

/* ---- across the lanes ------------------------------------------------------------------------ */

static void put_arrow(const struct picture *picture, double x, int32_t from, int32_t to)
{
    double side = from < to ? 0.5 : -0.5;
    fprintf(picture->file,
            "<path class=\"wake\" d=\"M%.2f %.2f V%.2f\" marker-end=\"url(#tip)\"/>\n", x,
            y_of(picture, from) + side * picture->run_height,
            y_of(picture, to) - side * picture->run_height);
}

/* Arrows that would cover each other are drawn once. */
static void put_wake_ups(const struct picture *picture)
{
    for (int32_t i = 0; i < picture->lanes; i++) {
        double last_x = -1;
        int32_t last_by = COIL__NO_LANE;
        for (const struct coil__step *step = picture->timeline->lanes[i].first; step;
             step = step->next) {
            if (step->woken_by == COIL__NO_LANE || step->woken_by >= picture->lanes ||
                step->woken_by == i)
                continue;
            double x = x_of(picture, step->ready_ns);
            if (step->woken_by == last_by && x < last_x + 1)
                continue;
            put_arrow(picture, x, step->woken_by, i);
            last_x = x;
            last_by = step->woken_by;
        }
    }
}

static void put_ends(const struct picture *picture)
{
    double radius = picture->pitch >= 14 ? END_RADIUS : picture->pitch * 0.32;
    for (int32_t i = 0; i < picture->lanes; i++) {
        const struct coil__lane *lane = &picture->timeline->lanes[i];
        if (lane->ended_ns == COIL__OPEN)
            continue;
        /* Behind the bar of the last step, which may be wider than the step. */
        double x = x_of(picture, lane->ended_ns);
        if (lane->last && x < x_of(picture, lane->last->begin_ns) + MIN_RUN_WIDTH)
            x = x_of(picture, lane->last->begin_ns) + MIN_RUN_WIDTH;
        put_end(picture->file, lane->how, x + radius + 1, y_of(picture, i), radius);
    }
}

/* Told apart by shape as well as by colour. */
static void put_end(FILE *file, unsigned how, double x, double y, double radius)
{
    switch (how) {
    case COIL_STEP_FAILED:
        fprintf(file,
                "<path d=\"M%.2f %.2f l%.2f %.2f m0 %.2f l%.2f %.2f\" fill=\"none\""
                " stroke=\"#dc2626\" stroke-width=\"%.2f\"/>\n",
                x - radius, y - radius, 2 * radius, 2 * radius, -2 * radius, -2 * radius,
                2 * radius, radius * 0.6);
        break;
    case COIL_STEP_CANCELLED:
        fprintf(file,
                "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#ffffff\""
                " stroke=\"#d97706\" stroke-width=\"%.2f\"/>\n",
                x - radius * 0.8, y - radius * 0.8, radius * 1.6, radius * 1.6, radius * 0.5);
        break;
    default:
        fprintf(file, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"#16a34a\"/>\n", x, y,
                radius);
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

/* XML has no way to write these, not even escaped. */
static bool is_forbidden(uint32_t character)
{
    return character < 0x20 || character == 0x7f || (character & 0xfffe) == 0xfffe;
}

static void put_text(FILE *file, const char *text, int columns)
{
    const char *at = text ? text : "?";
    for (uint32_t character; (character = coil__utf8_next(&at)) != 0; columns--) {
        if (columns == 1 && *at) {
            fputs("\342\200\246", file); /* an ellipsis stands for the rest */
            return;
        }
        if (is_forbidden(character))
            character = COIL__UTF8_REPLACEMENT;
        switch (character) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        default: {
            char bytes[COIL__UTF8_MAX];
            size_t length = (size_t)coil__utf8_put(character, bytes);
            fwrite(bytes, 1, length, file);
        }
        }
    }
}

static int columns_of(const char *text)
{
    int columns = 0;
    const char *at = text ? text : "?";
    while (coil__utf8_next(&at) != 0)
        columns++;
    return columns;
}

static void put_duration(FILE *file, int64_t ns)
{
    if (ns < 1000)
        fprintf(file, "%" PRId64 " ns", ns);
    else if (ns < 1000000)
        fprintf(file, "%.1f \302\265s", (double)ns / 1e3);
    else if (ns < 1000000000)
        fprintf(file, "%.1f ms", (double)ns / 1e6);
    else
        fprintf(file, "%.3f s", (double)ns / 1e9);
}
