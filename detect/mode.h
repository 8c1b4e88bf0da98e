/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode: whose rules the engine goes by.
 *
 * COMPATIBLE is MITMEngine, answer by answer, its faults included, for reports that must not
 * change. DEFAULT mends those faults; detect/mends.def lists every one with its reason.
 */
#ifndef WEIR_DETECT_MODE_H
#define WEIR_DETECT_MODE_H

enum detect_mode { DETECT_DEFAULT, DETECT_COMPATIBLE };

#endif
