# Reads public headers and prints one line for each declaration marked COIL_API:
#
#   FILE TAB LINE TAB NAME TAB KIND TAB SUSPENDS TAB CONTRACT
#
# KIND is void, value (functions) or object; SUSPENDS is yes or no (COIL_MAY_SUSPEND). CONTRACT lists
# the fields that the comment above has, as " Returns Suspends Thread ", with "Suspends=never" beside
# Suspends where it begins with that word, "Suspends=callee" where it says "if fn does"; it is "-" if no
# /** */ comment stands directly above.
#
# A comment serves the declarations that follow it without a blank line between them.

FNR == 1 {
    text = ""; first = 0; depth = 0; contract = "-"; in_comment = 0; in_directive = 0
}

# Preprocessor lines, with their continuations, end neither a comment's reach nor a declaration.
in_directive || /^[ \t]*#/ {
    in_directive = /\\$/
    next
}

in_comment || /^[ \t]*\/\*/ {
    if (!in_comment) {
        is_contract = /^[ \t]*\/\*\*([^*\/]|$)/
        fields = " "
        last_field = ""
    }
    read_fields($0)
    in_comment = !/\*\//
    if (in_comment)
        next
    if (is_contract)
        contract = fields
    else if (text == "" && depth == 0)
        contract = "-"
    sub(/.*\*\//, "")
    if (/^[ \t]*$/)
        next
}

/^[ \t]*$/ {
    if (text == "" && depth == 0)
        contract = "-"
    next
}

/^[ \t]*COIL_(BEGIN|END)_DECLS[ \t]*$/ || /^[ \t]*extern[ \t]+"C"[ \t]*\{?[ \t]*$/ {
    next
}

{
    line = $0
    gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", line)
    sub(/\/\/.*/, "", line)
    if (line ~ /\/\*/) {        # a comment that begins behind code and goes on below
        sub(/\/\*.*/, "", line)
        in_comment = 1
        is_contract = 1         # it is no contract, but it must not end the one above
        fields = contract
        last_field = ""
    }
    while (match(line, /[;{}]/)) {
        mark = substr(line, RSTART, 1)
        add(substr(line, 1, RSTART - 1))
        line = substr(line, RSTART + 1)
        if (mark == "{") {
            depth++
        } else if (mark == "}") {
            if (depth > 0)
                depth--
            # What follows a closing brace, a typedef's name say, is no declaration of ours; a
            # function's body ends its statement without a semicolon.
            if (depth == 0 && text ~ /\)[ \t]*$/)
                text = ""
        } else if (depth == 0) {
            statement()
            text = ""
        }
    }
    add(line)
}

function add(piece)
{
    if (depth > 0 || piece ~ /^[ \t]*$/)
        return
    if (text == "")
        first = FNR
    text = text " " piece
}

function read_fields(line,    word)
{
    if (match(line, /^[ \t]*(\/\*)?\*+ (Returns|Owns|Suspends|Cancel|Thread|Python|Since)([ \t]|$)/)) {
        word = substr(line, RSTART, RLENGTH)
        gsub(/[^A-Za-z]/, "", word)
        last_field = word
        line = substr(line, RSTART + RLENGTH)
        if (word == "Suspends" && line ~ /^[ \t]*never([^a-z]|$)/)
            fields = fields "Suspends=never "
        if (word == "Suspends" && line ~ /^[ \t]*if [a-z_]+ does([^a-z]|$)/)
            fields = fields "Suspends=callee "
    } else if (line ~ /^[ \t]*\*?[ \t]*$/) {
        last_field = ""
        return
    }
    # A field counts once something is said in it.
    if (last_field != "" && line ~ /[A-Za-z0-9]/ && index(fields, " " last_field " ") == 0)
        fields = fields last_field " "
}

function statement(    name, kind)
{
    if (text !~ /(^|[^A-Za-z0-9_])COIL_API([^A-Za-z0-9_]|$)/)
        return
    kind = "object"
    if (match(text, /[^A-Za-z0-9_]coil_[a-z0-9_]+[ \t]*\(/)) {
        kind = text ~ /[^A-Za-z0-9_]void[ \t]+coil_[a-z0-9_]+[ \t]*\(/ ? "void" : "value"
    } else if (!match(text, /[^A-Za-z0-9_]coil_[a-z0-9_]+[ \t]*(\[.*)?$/)) {
        printf "%s:%d: cannot read this COIL_API declaration: %s\n", FILENAME, first, text > "/dev/stderr"
        exit 1
    }
    name = substr(text, RSTART, RLENGTH)
    sub(/\[.*/, "", name)
    gsub(/[^A-Za-z0-9_]/, "", name)
    printf "%s\t%d\t%s\t%s\t%s\t%s\n", FILENAME, first, name, kind,
        text ~ /COIL_MAY_SUSPEND/ ? "yes" : "no", contract
}
