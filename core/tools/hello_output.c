/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/hello_output.h"

enum { TIME_MAX = 64 };

static void print_time(char room[TIME_MAX], int64_t time_ns)
{
    struct text t = text_make(room, TIME_MAX - 1);

    text_time(&t, time_ns);
    room[t.len] = '\0';
}

static void write_text(const struct hello_output *output, const struct hello_origin *origin,
                       const struct hello_facts *facts)
{
    char time[TIME_MAX];

    fprintf(output->out, "%shello %llu", output->hello_count > 1 ? "\n" : "",
            (unsigned long long)output->hello_count);
    if (origin->file) {
        fprintf(output->out, ", %s", origin->file);
    }
    if (origin->packet_number) {
        fprintf(output->out, ", packet %llu", (unsigned long long)origin->packet_number);
    }
    if (origin->time_ns) {
        print_time(time, origin->time_ns);
        fprintf(output->out, ", %s", time);
    }
    if (origin->client[0]) {
        fprintf(output->out, ", %s -> %s", origin->client, origin->server);
    }
    fputs(":\n", output->out);
    hello_facts_print(output->out, facts);
}

static bool set_string(json_t *object, const char *name, const char *value)
{
    return json_object_set_new(object, name, json_from_bytes(span_from_string(value))) == 0;
}

static bool set_origin(json_t *object, const struct hello_origin *origin)
{
    char time[TIME_MAX];

    if (origin->time_ns) {
        print_time(time, origin->time_ns);
    }
    return (!origin->file || set_string(object, "file", origin->file)) &&
           (!origin->packet_number ||
            json_object_set_new(object, "packet",
                                json_integer((json_int_t)origin->packet_number)) == 0) &&
           (!origin->time_ns || set_string(object, "time", time)) &&
           (!origin->client[0] || (set_string(object, "client", origin->client) &&
                                   set_string(object, "server", origin->server)));
}

bool hello_output_write(struct hello_output *output, const struct hello_origin *origin,
                        const struct hello_facts *facts)
{
    json_t *object;
    bool done;

    output->hello_count++;
    output->error_count += facts->error[0] != '\0';
    if (!output->json) {
        write_text(output, origin, facts);
        return true;
    }
    object = json_object();
    done = object && set_origin(object, origin) && hello_facts_set(facts, object) &&
           (json_dumpf(object, output->out, JSON_COMPACT) == 0 || ferror(output->out));
    fputc('\n', output->out);
    json_decref(object);
    return done;
}
