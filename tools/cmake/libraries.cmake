# The libraries of the distribution. What is required stops the configuration when absent; what is
# optional is reported in the summary. Each is offered under one name that does not depend on the version.

set(CMAKE_FIND_PACKAGE_PREFER_CONFIG OFF)
set(ESPALIER_LIBRARIES_FOUND "")

function(espalier_found name version)
  list(APPEND ESPALIER_LIBRARIES_FOUND "${name} ${version}")
  set(ESPALIER_LIBRARIES_FOUND "${ESPALIER_LIBRARIES_FOUND}" PARENT_SCOPE)
endfunction()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

find_package(fmt REQUIRED)
espalier_found(fmt "${fmt_VERSION}")

# ONNX's package names protobuf::libprotobuf, so protobuf comes first.
find_package(Protobuf REQUIRED)
espalier_found(protobuf "${Protobuf_VERSION}")
find_package(ONNX REQUIRED CONFIG)
if(TARGET ONNX::onnx)  # 1.17; the name was onnx in 1.12
  set(ESPALIER_ONNX ONNX::onnx ONNX::onnx_proto)
else()
  set(ESPALIER_ONNX onnx onnx_proto)
endif()
espalier_found(onnx "${ONNX_VERSION}")

find_package(dnnl REQUIRED CONFIG)
espalier_found(oneDNN "${dnnl_VERSION}")

find_package(Eigen3 REQUIRED NO_MODULE)
espalier_found(eigen "${Eigen3_VERSION}")

find_package(nlohmann_json REQUIRED)
espalier_found(nlohmann_json "${nlohmann_json_VERSION}")

find_package(spdlog REQUIRED)
espalier_found(spdlog "${spdlog_VERSION}")

find_package(Boost 1.74 REQUIRED CONFIG COMPONENTS program_options)
espalier_found(boost "${Boost_VERSION}")

# libzip's own package file asks for command line programs that the development package does not bring.
find_path(ESPALIER_ZIP_INCLUDE zip.h REQUIRED)
find_library(ESPALIER_ZIP_LIBRARY zip REQUIRED)
find_path(ESPALIER_ZLIB_INCLUDE zlib.h REQUIRED)  # libzip-dev brings it
add_library(espalier_zip INTERFACE)
target_link_libraries(espalier_zip INTERFACE zip z)
set_property(TARGET espalier_zip PROPERTY EXPORT_NAME zip)
install(TARGETS espalier_zip EXPORT espalier)
espalier_found(libzip "")

find_path(ESPALIER_RANDOM123_INCLUDE Random123/philox.h REQUIRED)
espalier_found(random123 "")

# OpenMP is called as GOMP_parallel from lib/base, without -fopenmp: one thread pool under every compiler.
set(ESPALIER_GOMP gomp)

if(ESPALIER_TESTS)
  find_package(GTest REQUIRED)
  espalier_found(gtest "${GTest_VERSION}")
  find_package(rapidcheck QUIET CONFIG)
  if(rapidcheck_FOUND)
    espalier_found(rapidcheck "")
  endif()
  find_package(benchmark QUIET CONFIG)
  if(benchmark_FOUND)
    espalier_found(benchmark "${benchmark_VERSION}")
  endif()
endif()
