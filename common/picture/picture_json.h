// A picture's description as JSON: in receipts and in the job store.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/json/json_fields.h"
#include "common/picture/picture_spec.h"

namespace diptych {

// Adds the members in the order of the table. Left out are: optional ones that are unset, and those of a later schema
// than the first that have their defaults. Numbers read back exactly.
void PutMembers(const PictureSpec& spec, nlohmann::ordered_json& json);

// Of the receipts' schemas the oldest that can say it.
int SchemaOf(const PictureSpec& spec);

// Reads the members that came with `schema` or before. What is missing keeps its default where the member is optional
// or of a later schema than the first, or is named by `left_out`: what this writer left out at some time. Throws as
// JsonFields.
void TakeMembers(JsonFields& fields, int schema, PictureSpec& spec,
                 std::initializer_list<std::string_view> left_out = {});

}  // namespace diptych
