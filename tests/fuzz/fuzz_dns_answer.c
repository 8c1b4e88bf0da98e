/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte picks the question, the rest is a DNS response. */
#include "core/engine/dns_answer.c" /* NOLINT(bugprone-suspicious-include): needs no engine */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.test", "a", "www.example.com", "x.y"};
    struct dns_answer answer;

    if (size == 0) {
        return 0;
    }
    enum dns_type type = data[0] & 1 ? DNS_TYPE_AAAA : DNS_TYPE_A;
    struct span name = span_from_string(names[data[0] >> 1 & 3]);
    enum dns_result result = dns_answer_parse(span_make(data + 1, size - 1), name, type, &answer);
    ASSERT(answer.count <= DNS_ADDRESSES_MAX);
    ASSERT((result == DNS_ADDRESSES) <= (answer.count > 0));
    ASSERT(result != DNS_ADDRESSES || answer.ttl_s <= INT32_MAX);
    (void)dns_name_is_valid(span_make(data, size));
    return 0;
}
