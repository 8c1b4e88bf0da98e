/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

int main(void)
{
    fprintf(stderr, "weir: not built yet\n");
    return 1;
}
