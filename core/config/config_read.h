/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_read: fills a struct config from a tree by the table, and checks what single values cannot
 * show (config_check). Both report every error that they find. Only core/config uses this.
 */
#ifndef WEIR_CONFIG_READ_H
#define WEIR_CONFIG_READ_H

#include "core/config/config_fields.h"
#include "core/config/config_yaml.h"

/* `root` null: everything is a default. `config` is zeroed before, and freed by the caller. */
void config_read(struct config *config, const struct config_node *root,
                 struct config_source *source);

/* After config_read() without an error in `config`'s shape; values with errors are zero or null. */
void config_check(const struct config *config, const struct config_node *root,
                  struct config_source *source);

#endif
