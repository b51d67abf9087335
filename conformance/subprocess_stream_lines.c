/* Talking to a child line by line over its pipes, until it closes its output.
 *
 * Why: Conversation with a child needs lines without waiting for its end. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    static const char *const words[] = { "one\n", "two\n", "three\n" };
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_PIPE;
    coil_process *child = coil_create_subprocess_exec(
        COIL_ARGS("sh", "-c", "while read word; do echo \"you said $word\"; done; echo bye"),
        &options);
    COIL_TRY(child ? 0 : coil_error_last());
    coil_stream_writer *in = coil_process_stdin(child);
    coil_stream_reader *out = coil_process_stdout(child);
    char *line;
    ssize_t length;
    int code;
    for (int i = 0; i < 3; i++) {
        COIL_TRY(coil_stream_write(in, words[i], strlen(words[i])));
        length = coil_stream_readline(out, &line);
        COIL_TRY((int)length);
        say("answer", bytes(line, (size_t)length));
    }
    coil_stream_close(in);
    while ((length = coil_stream_readline(out, &line)) > 0)
        say("rest", bytes(line, (size_t)length));
    COIL_TRY((int)length);
    bool at_end = coil_stream_at_eof(out);
    COIL_TRY(coil_process_wait(child, &code));
    say("at end", at_end, "code", code);
    coil_unref(child);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
